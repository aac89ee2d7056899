/** A service that rejects some names until it is mended, and an outbox with one stream to it. */
import type { OutboxEvent } from "../../src/inspect/event.ts"
import type { Intent } from "../../src/handle.ts"
import { Rejection, type Handler } from "../../src/service/index.ts"
import type { RecordInput } from "../../src/record-input.ts"
import { openBox } from "./box.ts"

/** `put` of these names is rejected until they are taken out. */
export async function openPatient(...names: string[]) {
  const poison = new Set(names)
  const put: Handler = ({ sql, op_id }, name) => {
    if (poison.has(String(name))) throw new Rejection("not_yet", `${String(name)} is not taken yet`)
    sql.run(`INSERT INTO effect (op_id, name) VALUES (?, ?)`, op_id, String(name))
    return { name, inner: { id: `id of ${String(name)}` } }
  }
  const box = await openBox({ service: { methods: { put } } })
  const outbox = box.open()
  const stream = box.stream(outbox)
  const events: OutboxEvent[] = []
  outbox.onAny((event) => void events.push(event))
  return {
    box,
    outbox,
    stream,
    poison,
    mend: () => poison.clear(),
    /** Events of these names, without the stream. */
    heard: (...wanted: string[]) => events.filter(({ name }) => wanted.includes(name)),
    drained: () => box.run(outbox.flush()),
    put: (name: string, more: Partial<RecordInput> = {}) => stream.record({ method: "put", args: [name], ...more }),
    id: (intent: Intent) => outbox.opId(intent),
    [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
  }
}
