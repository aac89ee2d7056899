/**
 * Sturdy: durable, replayable op intents for Cap'n Web. What a program imports; no logic here.
 */
export { openOutbox, type Outbox } from "./outbox.ts"
export type { OutboxOptions } from "./options.ts"
export type { FlushReport } from "./answers.ts"
export type { CloseOptions } from "./closing.ts"
export type { RecordInput } from "./record-input.ts"
export type { Stream, StreamStatus } from "./stream.ts"
export type { Opening } from "./ref.ts"
export type { Intent, Referable, Stub } from "./handle.ts"
export type { ResyncReason } from "./store/resync.ts"
export type { Adopted, SturdyRef } from "./store/stream.ts"
export type { Unblocking } from "./store/unblock.ts"
export type { DeadLetter, DeadLetterPage } from "./store/dead-letter-row.ts"
export type { Retried } from "./store/dead-letter.ts"
export type { Bookmark } from "./store/capture.ts"

export { InvariantError, SturdyError, type SturdyErrorCode } from "./intent/error.ts"
export { blockTable, type Block, type BlockReason } from "./flusher/block.ts"
export type { OutboxEvent, OutboxEventName, OutboxEvents, Outcome } from "./inspect/event.ts"

export type * from "./wire/contract.ts"
export { rpc, type Answer, type Post, type PostAnswer } from "./wire/session.ts"
export { httpJson } from "./wire/http-json.ts"
export type { Exchange, Protocol } from "./wire/protocol.ts"
export { TransportFault, type Transport, type TransportRequest, type TransportResponse } from "./wire/transport.ts"
export type { Clock, Random, Seams } from "./intent/seam.ts"
