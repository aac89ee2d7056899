/**
 * One round: several processes record into one outbox file and send to a service, and each of them is killed (SIGKILL)
 * or stopped (SIGSTOP, and continued later, often after its lease expired) at random moments. Then all go on in peace,
 * and the files of both ends tell what became of each op.
 */
import { randomId } from "../../../src/intent/ulid.ts"
import * as limit from "../../../src/intent/limit.ts"
import { systemRandom } from "../../../src/intent/system.ts"
import { mulberry32 } from "../../../src/testing/mulberry32.ts"
import { ScopedDatabase } from "../../scoped-database.ts"
import { tempDir, type TempDir } from "../../temp-dir.ts"
import { type Child, startChild } from "../child.ts"
import { wrongInFiles, type Tally } from "./check.ts"
import { type LogLine, readLog } from "./log.ts"
import type { EffectServiceConfig, EffectServiceSaid } from "./service-fixture.ts"
import { startVictim, type Victim } from "./victim.ts"
import type { WriterConfig, WriterSaid } from "./writer-fixture.ts"

export interface SeveralOptions {
  seed: number
  /** How long they are disturbed. */
  ms: number
  /** What must be found: a client that notes an op before it records it, or a service without a log of op_ids. */
  sabotage?: "client" | "service"
}

type Disturbed = Pick<
  Disturbances,
  "kills" | "service_kills" | "stops" | "service_stops" | "zombies" | "replaced" | "stops_in_post" | "kills_in_post"
>

/** How much of what happened; all are sums over the round. */
export interface Disturbances extends Tally {
  kills: number
  service_kills: number
  stops: number
  service_stops: number
  /** Stopped by themselves in the middle of a transaction: they held the write lock. */
  stops_in_transaction: number
  /** Stopped or killed while a POST of theirs was out. */
  stops_in_post: number
  kills_in_post: number
  /** Holders of the lease that were continued when another process had taken it. */
  zombies: number
  /** Holders of the lease that were killed, and another process had taken it before they were there again. */
  replaced: number
  /** The lease went from one process to another. */
  takeovers: number
  busy: number
}

export interface SeveralRound {
  /** What is wrong; empty if nothing is. */
  wrong: string[]
  counts: Disturbances
}

const lease_ms = 250
/** Beyond what any lawful wait of the last flush comes to. */
const flush_ms_max = 30_000

const points = [
  "record:before-commit",
  "freeze:before-commit",
  "settle:before-commit",
  "renew lease:before-commit",
  "acquire lease:before-commit",
  "flush:before-post",
  "flush:after-post",
  "settle:after-commit",
]

export async function severalRound(options: SeveralOptions): Promise<SeveralRound> {
  await using dir = tempDir()
  const random = mulberry32(options.seed)
  const below = (count: number) => Math.floor(random() * count)
  const names = ["a", "b", "c"].slice(0, 2 + below(2))
  let port = 0
  const serviceConfig = (): EffectServiceConfig => ({
    file: dir.file("share.db"),
    port,
    ...(options.sabotage === "service" && { forgetful: true }),
  })
  const said: (readonly EffectServiceSaid[])[] = []
  await using service = await startVictim("service", async () => {
    const child = startChild<EffectServiceSaid>(`${import.meta.dir}/service-fixture.ts`, serviceConfig())
    said.push(child.said)
    const { url } = await child.heard((line): line is { url: string } => "url" in line)
    port = Number(new URL(url).port)
    return child
  })
  const streams = Object.fromEntries([...names, "shared"].map((name) => [name, refOf(port)]))
  const startWriter = (client: string, incarnation: number, mode: WriterConfig["mode"]) =>
    startChild<WriterSaid>(`${import.meta.dir}/writer-fixture.ts`, {
      mode,
      file: dir.file(),
      log: logOf(dir, client),
      client,
      incarnation,
      seed: options.seed + incarnation * 1_009 + client.charCodeAt(0) * 7_919,
      lease_ms,
      streams: mode === "flush" ? {} : { [client]: streams[client]!, shared: streams.shared! },
      ...(random() < 0.4 &&
        mode === "record" && { stop_at: { point: points[below(points.length)]!, hit: 1 + below(20) } }),
      ...(options.sabotage === "client" && { sabotage: true }),
    } satisfies WriterConfig)
  const writers = await Promise.all(
    names.map((name) => startVictim(name, async (incarnation) => startWriter(name, incarnation, "record"))),
  )
  try {
    const disturbed = await disturb([...writers, service], dir, random, options.ms)
    const complaints = await Promise.all(writers.map((writer) => writer.finish()))
    const unsent = await flushed(startWriter("flush", 0, "flush"))
    const logs = [...names, "flush"].map((name) => readLog(logOf(dir, name)))
    await service.finish()
    const failures = said.flat().flatMap((line) => ("failure" in line ? [`the service: ${line.failure}`] : []))
    const files = wrongInFiles(logs, dir.file(), dir.file("share.db"))
    return {
      wrong: [...complaints.filter((complaint) => complaint !== undefined), ...unsent, ...failures, ...files.wrong],
      counts: { ...disturbed, ...countsOf(logs), ...files.tally },
    }
  } finally {
    await Promise.all(writers.map((writer) => writer[Symbol.asyncDispose]()))
  }
}

/** One process sends what is left. */
async function flushed(child: Child<WriterSaid>): Promise<string[]> {
  await using flusher = child
  const late = setTimeout(() => flusher.signal("SIGKILL"), flush_ms_max)
  try {
    const said = await flusher.heard((line): line is { flushed: boolean; blocked: string[] } => "flushed" in line)
    return said.flushed ? [] : said.blocked
  } catch (error) {
    return [`the last flush did not end within ${flush_ms_max} ms: ${error}`]
  } finally {
    clearTimeout(late)
  }
}

async function disturb(victims: readonly Victim[], dir: TempDir, random: () => number, ms: number): Promise<Disturbed> {
  const counts = {
    kills: 0,
    service_kills: 0,
    stops: 0,
    service_stops: 0,
    zombies: 0,
    replaced: 0,
    stops_in_post: 0,
    kills_in_post: 0,
  }
  const until = performance.now() + ms
  const gone = new Map<Victim, Promise<void>>()

  const away = (victim: Victim, work: () => Promise<"zombies" | "replaced">) => {
    const term = termHeldBy(dir, victim.pid)
    const back = async () => {
      const as = await work()
      if (term !== undefined && currentTerm(dir) !== term) counts[as] += 1
      gone.delete(victim)
    }
    gone.set(victim, back())
  }
  const restart = async (victim: Victim) => {
    await victim.killAndRestart()
    return "replaced" as const
  }
  const kill = (victim: Victim) => {
    counts[victim.name === "service" ? "service_kills" : "kills"] += 1
    if (postOut(readLog(logOf(dir, victim.name)))) counts.kills_in_post += 1
    away(victim, () => restart(victim))
  }
  const rest = (victim: Victim, long: number) => {
    counts[victim.name === "service" ? "service_stops" : "stops"] += 1
    if (postOut(readLog(logOf(dir, victim.name)))) counts.stops_in_post += 1
    // Short of the lease, beyond it, and now and then beyond what `record` waits for a lock.
    const stop_ms =
      random() < long ? limit.record_busy_ms_max * 1.1 : random() * (random() < 0.5 ? lease_ms : 3 * lease_ms)
    away(victim, async () => {
      victim.stop()
      await Bun.sleep(stop_ms)
      // Who is stopped dies of a SIGKILL too.
      if (random() < 0.2) return restart(victim)
      victim.continue()
      return "zombies"
    })
  }

  while (performance.now() < until) {
    await Bun.sleep(5 + random() * 145)
    for (const victim of victims) if (!gone.has(victim) && victim.stopped) rest(victim, 0.2)
    const victim = victims[Math.floor(random() * victims.length)]!
    if (gone.has(victim)) continue
    if (random() < 0.5) kill(victim)
    else rest(victim, 0.01)
  }
  await Promise.all(gone.values())
  for (const victim of victims) victim.continue()
  return counts
}

function countsOf(logs: readonly LogLine[][]): Pick<Disturbances, "busy" | "stops_in_transaction" | "takeovers"> {
  const lines = logs.flat()
  const holders = logs
    .flatMap((log, index) => log.flatMap((line) => ("lease" in line && line.held ? [{ term: line.lease, index }] : [])))
    .toSorted((a, b) => a.term - b.term)
  return {
    busy: lines.filter((line) => "busy" in line).length,
    stops_in_transaction: lines.filter((line) => "stopping" in line && line.stopping.endsWith(":before-commit")).length,
    takeovers: holders.filter(({ index }, at) => at > 0 && holders[at - 1]!.index !== index).length,
  }
}

/** Sent, and neither answered nor ended with its process. */
function postOut(log: readonly LogLine[]): boolean {
  const last = log.findLast((line) => "post" in line || "started" in line)
  return last !== undefined && "post" in last && last.post === "sent"
}

interface Holder {
  term: number
  pid: number
  time_expires: number
}

function holderIn(dir: TempDir): Holder | undefined {
  try {
    using db = new ScopedDatabase(dir.file(), { readonly: true })
    return db.query<Holder, []>("select term, pid, time_expires from sturdy_lease").get() ?? undefined
  } catch {
    // Not there yet, or just being recovered after a kill.
    return undefined
  }
}

function termHeldBy(dir: TempDir, pid: number): number | undefined {
  const holder = holderIn(dir)
  return holder?.pid === pid && holder.time_expires > 0 ? holder.term : undefined
}

const currentTerm = (dir: TempDir) => holderIn(dir)?.term

const logOf = (dir: TempDir, client: string) => dir.file(`${client}.log`)

function refOf(port: number) {
  return {
    service: `http://127.0.0.1:${port}/rpc/share`,
    share_id: randomId(systemRandom, 128),
    secret: randomId(systemRandom, 256),
  }
}
