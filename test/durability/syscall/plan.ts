/** What the process under test does, as data, so that it and who checks it mean the same ops. */
import type { SturdyRef } from "../../../src/store/stream.ts"

interface PlannedOp {
  /** Rejected for good by the service. */
  refused?: true
  key?: string
  /** Depends on the op of this name, where that was recorded. */
  on?: string
  /** Size of its payload, bytes. */
  bytes?: number
}

/** By name, in the order of recording; the captureId of each is its name, its first argument too. */
export const ops = {
  a1: {},
  a2: {},
  k1: { key: "k" },
  k2: { key: "k" },
  u1: {},
  u2: { bytes: 6_000 },
  u3: {},
  p1: { refused: true },
  d1: { on: "p1" },
  b1: { bytes: 20_000 },
  b2: { bytes: 9_000 },
  b3: { bytes: 9_000 },
  c1: {},
  c2: {},
  p2: { refused: true },
  h1: {},
  e1: {},
  e2: { bytes: 5_000 },
  e3: {},
  z1: {},
} as const satisfies Record<string, PlannedOp>

export type OpName = keyof typeof ops

export function planned(name: OpName): PlannedOp {
  return ops[name]
}

/** An op that the service cannot take: itself, or what it depends on. */
export function isDoomed(name: OpName): boolean {
  const { refused, on } = planned(name)
  return refused === true || (on !== undefined && isDoomed(on as OpName))
}

export interface LifePlan {
  file: string
  ref: SturdyRef
  /** Not empty once the fault was met. */
  calls: string
  /** The fault stays until this file exists: made while the outbox is open, or after it was closed. */
  heal?: { file: string; when: "open" | "closed" }
  /** What was refused is recorded again, with the same captureIds, once the fault is over; else it is left. */
  repeat: boolean
  sabotage?: Sabotage
}

/** `early` acknowledges an op before it records it, `silent` takes a record that threw for one that returned. */
export type Sabotage = "early" | "silent"

/** What the process says on standard output, a line each, as it happens. */
export type Word =
  | { trying: OpName[] }
  | { recorded: OpName[]; op_ids: string[] }
  /** `captured`: are their captureIds there, as the same handle sees it at once? Undefined if it could not look. */
  | { refused: OpName[]; code: string; indeterminate: boolean; captured: boolean[] | undefined }
  | { durable: "asked" | "resolved" }
  /** Another step threw. */
  | { failed: string; code: string }
  | { over: "the fault" }
  | { wrong: string }
