/** What went through streams, summed up: one line for what else would be many. */
import type { Change } from "../../inspect/changes.ts"
import { batchesText } from "./change-text.ts"
import { printable } from "../output/terminal.ts"
import { count } from "../output/words.ts"

interface Flow {
  recorded: number
  settled: number
  batches: number
  /** When it was looked at last. */
  drained: boolean
}

/** Per stream. */
export type Traffic = Map<string, Flow>

const none: Flow = { recorded: 0, settled: 0, batches: 0, drained: false }

export function trafficOf(changes: readonly Change[]): Traffic {
  const traffic: Traffic = new Map()
  for (const change of changes) {
    const flow = flowOf(change)
    if (flow && "stream" in change) addFlow(traffic, change.stream, flow)
  }
  return traffic
}

/** It is part of a Traffic, and needs no line of its own. */
export function isSummedUp(change: Change): boolean {
  return flowOf(change) !== undefined
}

export function addTraffic(sum: Traffic, traffic: Traffic): void {
  for (const [stream, flow] of traffic) addFlow(sum, stream, flow)
}

export function trafficText(traffic: Traffic): string {
  const flows = [...traffic.values()]
  const [name] = traffic.keys()
  const who = traffic.size === 1 ? printable(name!) : count(traffic.size, "stream")
  const { recorded, settled, batches } = flows.reduce(added, none)
  const noun = recorded > 0 ? settled.toLocaleString("en") : count(settled, "op")
  const parts = [
    ...(recorded > 0 ? [`recorded ${count(recorded, "op")}`] : []),
    ...(settled > 0 ? [`settled ${noun}${batchesText(batches)}`] : []),
    ...(flows.every((flow) => flow.drained) ? ["drained"] : []),
  ]
  return `${who}  ${parts.join(", ")}`
}

function flowOf(change: Change): Flow | undefined {
  if (change.type === "recorded") return { ...none, recorded: change.ops }
  if (change.type === "settled") return { ...none, settled: change.ops, batches: change.batches }
  return change.type === "drained" ? { ...none, drained: true } : undefined
}

function addFlow(traffic: Traffic, stream: string, flow: Flow): void {
  traffic.set(stream, added(traffic.get(stream) ?? none, flow))
}

function added(sum: Flow, flow: Flow): Flow {
  return {
    recorded: sum.recorded + flow.recorded,
    settled: sum.settled + flow.settled,
    batches: sum.batches + flow.batches,
    drained: flow.drained,
  }
}
