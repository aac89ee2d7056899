/**
 * One round: `replay` is killed (SIGKILL) at random moments, the service once, then one run goes undisturbed. What must
 * be true then is what an undisturbed run makes true.
 */
import type { Database } from "bun:sqlite"
import { existsSync } from "node:fs"
import { readStatus } from "../../src/inspect/status.ts"
import { openDatabaseForReading } from "../../src/store/database.ts"
import { cli, lastJson, run } from "../cli/run.ts"
import { fixturePath, readFinal, withoutShare, type RecordingName } from "../opencode/reference.ts"
import { tempDir } from "../temp-dir.ts"
import { seeded } from "./seeded.ts"
import { startService, type ServiceProcess } from "./service.ts"
import { ScopedDatabase } from "../scoped-database.ts"

/** How the outbox stood when a process was killed. */
export type Moment = "before the first op" | "recording" | "sending" | "all settled"

export interface Outcome {
  /** By session: what its share shows, or the status that its data answers with. */
  shares: Record<string, unknown>
  ops: unknown
  summary: Record<string, unknown>
}

export interface Round {
  /** What is wrong; empty if nothing is. */
  wrong: string[]
  moments: Moment[]
}

const names = {
  session: () => "session",
  message: messageName,
  part: partName,
  session_diff: diffName,
  model: modelName,
}

/** A round of its own: new outbox, new service. */
export async function tortureRound(recording: RecordingName, seed: number, kills: number): Promise<Round> {
  const expected = await undisturbed(recording)
  await using dir = tempDir()
  await using service = await startService(dir.file("share.db"))
  const outbox = dir.file("outbox.db")
  const random = seeded(seed)
  const serviceKill = Math.floor(random.fraction() * kills)
  const moments: Moment[] = []
  for (let kill = 0; kill < kills; kill++) {
    const killed = replayKilledAfter(recording, service, outbox, 20 + random.fraction() * 230)
    if (kill === serviceKill) {
      await Bun.sleep(random.fraction() * 200)
      await service.killAndRestart()
    }
    await killed
    moments.push(momentOf(outbox, Number(expected.ops)))
  }
  const got = await replayOnce(recording, service, outbox)
  return { wrong: [...differences(expected, got), ...(await wrongAtService(service, outbox))], moments }
}

const known = new Map<RecordingName, Promise<Outcome>>()

/** What one run without any fault leaves: equal to opencode's own final state, else nothing can be compared. */
function undisturbed(recording: RecordingName): Promise<Outcome> {
  const found = known.get(recording) ?? firstRun(recording)
  known.set(recording, found)
  return found
}

async function firstRun(recording: RecordingName): Promise<Outcome> {
  await using dir = tempDir()
  await using service = await startService(dir.file("share.db"))
  const outcome = await replayOnce(recording, service, dir.file("outbox.db"))
  const wrong = unlikeFinal(outcome, await readFinal(recording))
  if (wrong.length > 0) throw new Error(`an undisturbed run of ${recording} is wrong: ${wrong.join("; ")}`)
  return outcome
}

async function replayKilledAfter(recording: RecordingName, service: ServiceProcess, outbox: string, delay_ms: number) {
  const child = cli(["replay", fixturePath(recording, "jsonl"), "--server", service.url, "--db", outbox, "--json"])
  // The moment is the fault that is injected: nothing is awaited here.
  await Promise.race([Bun.sleep(delay_ms), child.exited])
  child.kill("SIGKILL")
  await child.exited
}

function momentOf(outbox: string, ops: number): Moment {
  if (!existsSync(outbox)) return "before the first op"
  let db: Database | undefined
  try {
    db = openDatabaseForReading(outbox)
    const { streams } = readStatus(db)
    const place =
      "select coalesce(sum((select max(seq) & 4294967295 from sturdy_op o where o.seq >> 32 = s.stream_id)), 0) as ops from sturdy_stream s"
    const { ops: recorded } = db.prepare(place).get() as { ops: number }
    if (streams.length === 0) return "before the first op"
    if (recorded < ops) return "recording"
    return streams.some(({ state }) => state !== "idle" && state !== "removed") ? "sending" : "all settled"
  } catch {
    return "before the first op"
  } finally {
    db?.close()
  }
}

async function replayOnce(recording: RecordingName, service: ServiceProcess, outbox: string): Promise<Outcome> {
  const args = ["replay", fixturePath(recording, "jsonl"), "--server", service.url, "--db", outbox, "--json"]
  const { code, out, err } = await run(args)
  if (code !== 0) throw new Error(`replay ended with ${code}: ${err}`)
  const summary = lastJson(out)
  const shares = summary.shares as { session_id: string; share_id: string }[]
  const shown = await Promise.all(
    shares.map(async (share) => [share.session_id, await shownBy(service, share.share_id)]),
  )
  return { shares: Object.fromEntries(shown), ops: summary.ops, summary }
}

interface Item {
  type: keyof typeof names
  data: Record<string, unknown>
}

async function shownBy(service: ServiceProcess, share_id: string): Promise<unknown> {
  const response = await fetch(`${service.url}/api/share/${share_id}/data`)
  if (!response.ok) return response.status
  const items = (await response.json()) as Item[]
  return Object.fromEntries(items.map(({ type, data }) => [names[type](data), data]))
}

function messageName(data: Record<string, unknown>): string {
  return `message ${data.id}`
}

function partName(data: Record<string, unknown>): string {
  return `part ${data.messageID} ${data.id}`
}

function diffName(): string {
  return "session_diff"
}

function modelName(): string {
  return "model"
}

/** final.json holds neither diffs nor models, and no session that was deleted. */
function unlikeFinal(outcome: Outcome, final: Record<string, Record<string, unknown>>): string[] {
  const comparable = (shown: unknown) =>
    Object.fromEntries(
      Object.entries(shown as Record<string, Record<string, unknown>>)
        .filter(([name]) => name !== "session_diff" && name !== "model")
        .map(([name, data]) => [name, name === "session" ? withoutShare(data) : data]),
    )
  return Object.entries(outcome.shares).flatMap(([session_id, shown]) => {
    const wanted = final[session_id]
    if (!wanted) return shown === 410 ? [] : [`session ${session_id} was deleted, its share answers ${short(shown)}`]
    return typeof shown === "object" && Bun.deepEquals(comparable(shown), wanted)
      ? []
      : [`session ${session_id} is not as opencode has it: ${short(shown)}`]
  })
}

function differences(expected: Outcome, got: Outcome): string[] {
  const shares = Object.keys({ ...expected.shares, ...got.shares }).flatMap((session_id) =>
    Bun.deepEquals(got.shares[session_id], expected.shares[session_id])
      ? []
      : [`session ${session_id}: ${short(got.shares[session_id])} instead of ${short(expected.shares[session_id])}`],
  )
  const facts = (["events", "ops", "pending", "dead"] as const).flatMap((fact) =>
    got.summary[fact] === expected.summary[fact]
      ? []
      : [`${fact}: ${got.summary[fact]} instead of ${expected.summary[fact]}`],
  )
  return [...shares, ...facts]
}

/** Looked up in the files of both ends: an op has one effect, and what counts as applied here was applied there. */
async function wrongAtService(service: ServiceProcess, outbox: string): Promise<string[]> {
  using share = new ScopedDatabase(service.file, { readonly: true })
  const { effects, ids } = share
    .query("select count(*) as effects, count(distinct op_id) as ids from applied")
    .get() as {
    effects: number
    ids: number
  }
  const local = openDatabaseForReading(outbox)
  const counts = readStatus(local).streams
  const settled = local
    .query(
      `select count(*) as n from sturdy_op op join sturdy_stream stream on stream.stream_id = op.seq >> 32
       where stream.time_closed is null and op.seq <= stream.cursor
         and not exists (select 1 from sturdy_superseded s where s.seq = op.seq)
         and not exists (select 1 from sturdy_dead_letter d where d.seq = op.seq)`,
    )
    .get() as { n: number }
  local.close()
  return [
    ...(effects === ids ? [] : [`${effects} effects of ${ids} ops`]),
    ...(effects === settled.n
      ? []
      : [`${settled.n} ops count as applied here, ${effects} were applied at the service`]),
    ...counts
      .filter(({ twins, server_resets }) => twins + server_resets > 0)
      .map(({ stream }) => `${stream}: twin or reset`),
  ]
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing"
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text
}
