/** Delay before an attempt. Full jitter: AWS Architecture Blog, "Exponential Backoff And Jitter". */
import type { Random } from "./seam.ts"

export interface BackoffBounds {
  min_ms: number
  max_ms: number
}

/**
 * Uniform in [0, min(max, min × 2^(attempts - 1))), so also random at the cap: clients of one server that restarts do
 * not come back together. `attempts` counts those that failed, from 1.
 */
export function backoffMs(attempts: number, bounds: BackoffBounds, random: Random): number {
  const ceiling = Math.min(bounds.max_ms, bounds.min_ms * 2 ** Math.min(attempts - 1, 30))
  return Math.floor(random.fraction() * ceiling)
}
