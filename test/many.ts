import type { Op } from "./store/box.ts"

/** Ops of a few hundred bytes each. */
export function many(count: number): Op[] {
  return Array.from({ length: count }, (_, n) => ({ args: [n, "y".repeat(300)] }))
}
