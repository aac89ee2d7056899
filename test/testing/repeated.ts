/** A machine that does other things meanwhile takes several times as long. */
export const patience_ms = process.env.RUNS ? 600_000 : 60_000

/** `FC="seed path"`, as a failure prints them, runs that one case again; `RUNS=n` runs so many instead of the usual. */
export function repeated(): { seed?: number; path?: string; endOnFailure?: boolean; numRuns?: number } {
  const [seed, path] = (process.env.FC ?? "").split(" ")
  const runs = process.env.RUNS ? { numRuns: Number(process.env.RUNS) } : {}
  if (!seed) return runs
  return { seed: Number(seed), ...runs, ...(path && { path, endOnFailure: true }) }
}
