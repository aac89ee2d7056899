/** What goes wrong when: the same seed, the same plan. Moments are fractions of the playback, so any speed has all of them. */

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
  const random = seeded(seed)
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

/** mulberry32: 32 bits of state are plenty for a plan. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    const mixed = Math.imul(state ^ (state >>> 15), state | 1)
    const again = mixed ^ (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61))
    return ((again ^ (again >>> 14)) >>> 0) / 2 ** 32
  }
}
