/** What goes wrong when: the same seed, the same plan. Moments are fractions of the playback, so any speed has all of them. */
import { mulberry32 } from "../../src/testing/mulberry32.ts"

export const faultKinds = {
  service_killed: { lane: "service", times: 4, text: "SIGKILL the service" },
  client_killed: { lane: "client", times: 4, text: "SIGKILL the client" },
  refused: { lane: "network", times: 3, text: "refuse connections" },
  unavailable: { lane: "network", times: 3, text: "answer 503 to the next POST" },
  answer_lost: { lane: "network", times: 5, text: "lose the next answer, decided already" },
  answer_cut: { lane: "network", times: 3, text: "cut the next answer in the middle" },
  late_copy: { lane: "network", times: 3, text: "deliver the next POST twice, once late" },
} as const

export type FaultKind = keyof typeof faultKinds
export type Lane = (typeof faultKinds)[FaultKind]["lane"]

export interface Fault {
  kind: FaultKind
  /** 0 = the first event, 1 = the last. */
  at: number
  /** How long the service stays down, connections are refused, or a copy is held back. */
  hold_ms: number
  /** From the start of a POST to a kill: somewhere in the middle of it. */
  into_post_ms: number
}

const first_at = 0.04
const last_at = 0.97

export function faultPlan(seed: number): Fault[] {
  const random = mulberry32(seed)
  const kinds = (Object.keys(faultKinds) as FaultKind[]).flatMap((kind) => Array(faultKinds[kind].times).fill(kind))
  const slot = (last_at - first_at) / kinds.length
  return shuffled(kinds as FaultKind[], random).map((kind, index) => ({
    kind,
    at: first_at + slot * (index + random()),
    hold_ms: Math.round(200 + 500 * random()),
    into_post_ms: 6 * random(),
  }))
}

function shuffled<T>(items: T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, rank: random() }))
    .toSorted((a, b) => a.rank - b.rank)
    .map(({ item }) => item)
}
