/**
 * A process that records into an outbox as long as it is let, beside others on the same file, and notes what it recorded
 * once `record` has returned. In `flush` mode it only sends what is there, and says when that is done.
 */
import { openOutbox, SturdyError, type Intent, type Stream, type SturdyRef } from "../../../src/index.ts"
import { systemSeams } from "../../../src/intent/system.ts"
import { mulberry32 } from "../../../src/testing/mulberry32.ts"
import { say, told } from "../child.ts"
import { openLog, type LoggedOp } from "./log.ts"

export interface WriterConfig {
  mode: "record" | "flush"
  file: string
  log: string
  client: string
  incarnation: number
  seed: number
  lease_ms: number
  /** By name: a stream of its own, and one that all share. */
  streams: Record<string, SturdyRef>
  /** Stops itself (SIGSTOP) when it is there for the nth time. */
  stop_at?: { point: string; hit: number }
  /** Notes an op before it records it: what is killed between the two is lost, and must be found. */
  sabotage?: boolean
}

export type WriterSaid = { ready: true } | { flushed: boolean; blocked: string[] }

const config = JSON.parse(process.argv[2]!) as WriterConfig
const log = openLog(config.log)
log({ started: config.incarnation })
const random = mulberry32(config.seed)
const chance = (share: number) => random() < share
const below = (count: number) => Math.floor(random() * count)
const hits = new Map<string, number>()

const outbox = await insistent(() =>
  openOutbox(config.file, {
    leaseMs: config.lease_ms,
    lingerMs: 5,
    retryDelayMsMin: 5,
    retryDelayMsMax: 50,
    seams: { ...systemSeams, crashPoint: stopAt },
  }),
)
outbox.on("lease", ({ term, held }) => log({ lease: term, held }))
outbox.on("sent", () => log({ post: "sent" }))
outbox.on("acked", () => log({ post: "answered" }))
outbox.on("failed", () => log({ post: "answered" }))
outbox.on("fault", ({ message, cause }) => {
  if (!(cause instanceof SturdyError && cause.code === "busy")) log({ wrong: message })
})
const streams = await Promise.all(
  Object.entries(config.streams).map(([name, ref]) =>
    insistent(() => outbox.stream(name, ref, { create: { session_id: name } })),
  ),
)
let n = 0
/** By stream: the last plain op, for the next dependent one. */
const last = new Map<string, { name: string; intent: Intent }>()

if (config.mode === "flush") {
  const { settled, blocked } = await outbox.flush()
  await outbox.close()
  say({ flushed: settled, blocked: blocked.map(({ stream, reason, message }) => `${stream}: ${reason}, ${message}`) })
  process.exit()
}
say({ ready: true })
const ending = new AbortController()
void told().then(() => ending.abort())
while (!ending.signal.aborted) {
  await recordSome(streams[below(streams.length)]!)
  await Bun.sleep(below(5))
}
await outbox.close({ flush_ms: 0 })
process.exit()

async function recordSome(stream: Stream): Promise<void> {
  const kind = (["plain", "plain", "plain", "keyed", "keyed", "unit", "dependent", "refused"] as const)[below(8)]!
  if (kind === "refused" && chance(0.7)) return
  const before = kind === "dependent" ? last.get(stream.name) : undefined
  const key = kind === "keyed" ? `${config.client}/${below(3)}` : undefined
  const names = Array.from({ length: kind === "unit" ? 2 + below(2) : 1 }, () => nextName())
  const calls = names.map((name) => ({
    method: kind === "refused" ? "refuse" : "put",
    args: [name, key ?? null, before ? (before.intent as Intent<{ name: string }>).name : null],
    ...(key !== undefined && { key }),
    ...(chance(0.5) && { captureId: name }),
  }))
  const noted = (op_ids: string[]) =>
    log({
      recorded: names.map((name, index): LoggedOp => {
        const op = { name, stream: stream.name, op_id: op_ids[index]!, kind }
        return { ...op, ...(key !== undefined && { key }), ...(before && { on: before.name }) }
      }),
    })
  if (config.sabotage) {
    noted(names.map(() => ""))
    await Bun.sleep(20)
  }
  const intents = await insistent(() => outbox.unit(() => calls.map((call) => stream.record(call))))
  if (!config.sabotage) noted(intents.map((intent) => outbox.opId(intent)))
  if (kind === "plain") last.set(stream.name, { name: names[0]!, intent: intents[0]! })
}

function nextName(): string {
  n += 1
  return `${config.client}/${config.incarnation}/${n}`
}

/** Busy means that nothing was written: the same again, with or without a captureId, is the whole advice. */
async function insistent<T>(work: () => T): Promise<T> {
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof SturdyError && error.code === "busy" && !error.indeterminate)) {
        log({ wrong: `record: ${error instanceof Error ? (error.stack ?? error.message) : error}` })
        throw error
      }
      log({ busy: error.message })
      await Bun.sleep(1)
    }
  }
}

function stopAt(point: string): void {
  if (point !== config.stop_at?.point) return
  const hit = (hits.get(point) ?? 0) + 1
  hits.set(point, hit)
  if (hit !== config.stop_at.hit) return
  log({ stopping: point })
  process.kill(process.pid, "SIGSTOP")
  // The signal may reach another thread first: this one does nothing until it has.
  Bun.sleepSync(2)
}
