/** Interleaved rounds and medians: on a shared machine only figures of one run, side by side, can be compared. */

export interface Measured {
  /** Median over the rounds. */
  ops_per_second: number
  /** Of single calls, µs; absent where a round has none. */
  p50_us?: number
  p99_us?: number
}

export interface Contender {
  name: string
  /** Runs one round and returns how many ops it did, and the durations of single calls in ns if it took them. */
  round(): Promise<{ ops: number; calls?: Float64Array }>
}

export async function measure(contenders: readonly Contender[], rounds: number): Promise<Map<string, Measured>> {
  const speeds = new Map<string, number[]>(contenders.map(({ name }) => [name, []]))
  const calls = new Map<string, Float64Array[]>(contenders.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++)
    for (const contender of contenders) {
      const started = Bun.nanoseconds()
      const done = await contender.round()
      const seconds = (Bun.nanoseconds() - started) / 1e9
      // The first round warms up.
      if (round === 0) continue
      speeds.get(contender.name)!.push(done.ops / seconds)
      if (done.calls) calls.get(contender.name)!.push(done.calls)
    }
  return new Map(
    contenders.map(({ name }) => {
      const all = calls.get(name)!.flatMap((round) => [...round])
      const at = (share: number) => all.toSorted((a, b) => a - b)[Math.floor(share * (all.length - 1))]! / 1000
      return [
        name,
        { ops_per_second: median(speeds.get(name)!), ...(all.length > 0 && { p50_us: at(0.5), p99_us: at(0.99) }) },
      ]
    }),
  )
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}
