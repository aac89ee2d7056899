/** The events of an outbox as OpenTelemetry counters; a block also raises a gauge. Returns the function that stops. */
import type { Meter } from "@opentelemetry/api"
import type { Outbox } from "sturdy"

export function meterOutbox(meter: Meter, outbox: Outbox): () => void {
  const events = meter.createCounter("sturdy.events", { description: "what happened, by event and code" })
  const ops = meter.createCounter("sturdy.ops", { description: "ops, by what became of them" })
  const blocks = meter.createUpDownCounter("sturdy.blocks", { description: "streams that stand, by reason" })
  return outbox.onAny((event) => {
    events.add(1, { event: event.name, ...("code" in event && { code: event.code }) })
    if (event.name === "recorded") ops.add(event.op_ids.length, { state: "recorded" })
    if (event.name === "acked") ops.add(event.ops, { state: "decided" })
    if (event.name === "blocked") blocks.add(1, { reason: event.reason })
    if (event.name === "unblocked") blocks.add(-1, { reason: event.reason })
  })
}
