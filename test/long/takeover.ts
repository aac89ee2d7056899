/**
 * From the signal that ends or stops the holder of the lease in the middle of a POST, to the first POST of a process
 * that has waited beside it. Killed: known to be dead on this host. Stopped: its lease has to expire.
 */
import { systemRandom } from "../../src/intent/system.ts"
import { randomId } from "../../src/intent/ulid.ts"
import { mulberry32 } from "../../src/testing/mulberry32.ts"
import { tempDir } from "../temp-dir.ts"
import { startChild } from "../torture/child.ts"
import * as limit from "../../src/intent/limit.ts"
import type { Section } from "./section.ts"

/** Side by side: they wait, and do nothing else. */
const at_once = 10
const repeats = { SIGKILL: 4, SIGSTOP: 2 }
/** Beyond expiry, one look of the waiter's, and the start of a POST. */
const takeover_ms_max = limit.lease_ms + 2 * limit.poll_ms

export const takeover: Section = {
  name: "takeover",
  async run({ seed, progress }) {
    const random = mulberry32(seed)
    const figures: Record<string, number> = {}
    const wrong: string[] = []
    for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
      const times: number[] = []
      for (let repeat = 0; repeat < repeats[signal]; repeat++) {
        progress(`takeover: ${signal}, ${times.length} of ${repeats[signal] * at_once}`)
        const delays = Array.from({ length: at_once }, () => random() * limit.poll_ms)
        times.push(...(await Promise.all(delays.map((delay_ms) => takeoverAfter(signal, delay_ms)))))
      }
      times.sort((a, b) => a - b)
      const name = signal === "SIGKILL" ? "killed" : "stopped"
      figures[`${name}_n`] = times.length
      figures[`${name}_ms_p50`] = times[Math.floor(times.length / 2)]!
      figures[`${name}_ms_max`] = times.at(-1)!
      if (times.at(-1)! > takeover_ms_max) wrong.push(`takeover took ${Math.round(times.at(-1)!)} ms after ${signal}`)
    }
    return { wrong, figures }
  },
}

async function takeoverAfter(signal: "SIGKILL" | "SIGSTOP", delay_ms: number): Promise<number> {
  await using dir = tempDir()
  const arrived = { holder: Promise.withResolvers<number>(), waiter: Promise.withResolvers<number>() }
  const gate = Promise.withResolvers<void>()
  await using server = Bun.serve({
    port: 0,
    idleTimeout: 60,
    async fetch(request) {
      arrived[request.headers.get("x-process") as "holder" | "waiter"].resolve(performance.now())
      await gate.promise
      return new Response("", { status: 503 })
    },
  })
  const ref = {
    service: `${server.url.origin}/rpc/share`,
    share_id: randomId(systemRandom, 128),
    secret: randomId(systemRandom, 256),
  }
  const start = (name: string) =>
    startChild<{ ready: true }>(`${import.meta.dir}/poster-fixture.ts`, { file: dir.file(), name, ref })
  await using holder = start("holder")
  await arrived.holder.promise
  await using waiter = start("waiter")
  await waiter.heard((line): line is { ready: true } => line.ready)
  await Bun.sleep(delay_ms)
  const signalled = performance.now()
  holder.signal(signal)
  const taken = await arrived.waiter.promise
  gate.resolve()
  return taken - signalled
}
