/** The seam's randomness, repeated by a seed. */
import type { Random } from "../../src/intent/seam.ts"
import { mulberry32 } from "../../src/testing/mulberry32.ts"

export function seeded(seed: number): Random {
  const fraction = mulberry32(seed)
  return { fraction, bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(fraction() * 256)) }
}
