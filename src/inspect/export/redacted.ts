/** An export without what people wrote: see `Redactor`. Ids, places, sizes, times, methods and services' addresses stay. */
import type { OpFacts } from "../op-facts.ts"
import type { ExportedStream, OutboxSummary } from "./outbox-summary.ts"
import type { Redactor } from "./redactor.ts"

export function redactedOp(op: OpFacts, redactor: Redactor): OpFacts {
  return {
    ...op,
    stream: redactor.textOrNull(op.stream),
    method: op.method === null ? null : redactor.word(op.method),
    target: op.target === null ? null : [op.target[0]!, ...redactor.steps(op.target.slice(1))],
    args: op.args === null ? null : redactor.args(op.args),
    key: op.key === null ? null : redactor.path(op.key),
    actor_id: redactor.textOrNull(op.actor_id),
    result: op.result === null ? null : redactor.args(op.result),
    rejection: op.rejection && {
      ...op.rejection,
      code: redactor.word(op.rejection.code),
      message: redactor.text(op.rejection.message),
    },
  }
}

export function redactedSummary(summary: OutboxSummary, redactor: Redactor): OutboxSummary {
  const { streams, lease } = summary
  return {
    ...summary,
    streams: streams && streams.map((stream) => redactedStream(stream, redactor)),
    lease: lease && { ...lease, host: redactor.text(lease.host) },
  }
}

/** A share's address is what its readers hold. */
function redactedStream(stream: ExportedStream, redactor: Redactor): ExportedStream {
  return {
    ...stream,
    stream: redactor.text(stream.stream),
    share_id: redactor.text(stream.share_id),
    url: redactor.textOrNull(stream.url),
    session_id: redactor.textOrNull(stream.session_id),
    service_id: redactor.textOrNull(stream.service_id),
    last_error: stream.last_error === null ? null : redactor.word(stream.last_error),
    block_message: redactor.textOrNull(stream.block_message),
  }
}
