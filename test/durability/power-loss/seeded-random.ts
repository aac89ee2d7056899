import { mulberry32 } from "../../../src/testing/mulberry32.ts"

/** Whole numbers below a bound: the same seed, the same run. */
export function seededRandom(seed: number): (below: number) => number {
  const fraction = mulberry32(seed)
  return (below) => Math.floor(fraction() * below)
}
