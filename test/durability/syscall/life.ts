/** One life under one fault: what the process said, what it left, and what comes of it when a healthy one goes on. */
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Rejection, serveShareService } from "../../../src/service/index.ts"
import type { SturdyRef } from "../../../src/store/stream.ts"
import { ManualClock } from "../../../src/testing/manual-clock.ts"
import { ScopedDatabase } from "../../scoped-database.ts"
import { tempDir } from "../../temp-dir.ts"
import { environmentOf, type Fault, type Libraries, type Place } from "./fault.ts"
import type { LifePlan, OpName, Sabotage, Word } from "./plan.ts"
import { openTurned } from "./turned.ts"

export interface Life {
  fault: Fault | undefined
  words: Word[]
  /** Of the process; 66 if the fault ended it. */
  status: number
  complaint: string
  /** Number, call, file and bytes: of each call, or of the one that met the fault. */
  calls: string[]
  aftermath: Aftermath
}

/** What a healthy process found, and made of it. */
export interface Aftermath {
  /** What kept it from going on, and what SQLite says of the file. */
  wrong: string[]
  /** Why something was put aside. */
  aside: string | undefined
  /** Names of the ops that had an effect at the service, in order. */
  effects: OpName[]
  /** By op_id: the words of `op_state`. */
  states: Map<string, string[]>
  /** Names of the ops that the file holds. */
  held: Set<OpName>
}

export const ended_by_fault = 66

export interface LifeOptions {
  sabotage?: Sabotage
  env?: Record<string, string>
}

export async function live(libraries: Libraries, fault: Fault | undefined, options: LifeOptions = {}): Promise<Life> {
  await using dir = tempDir()
  const place: Place = {
    before: dir.file("before"),
    after: dir.file("after"),
    log: dir.file("calls"),
    heal: dir.file("healed"),
  }
  for (const path of [place.before, place.after]) mkdirSync(path)
  await using service = startService()
  const { ref } = service
  const plan: LifePlan = {
    file: join(place.before, "outbox.db"),
    ref,
    calls: place.log,
    repeat: fault?.repeat ?? false,
    ...(fault?.sticky && { heal: { file: place.heal, when: fault.at % 2 === 0 ? "open" : "closed" } }),
    ...(options.sabotage && { sabotage: options.sabotage }),
  }
  const child = Bun.spawn([process.execPath, libraries.life, JSON.stringify(plan)], {
    env: { ...process.env, ...environmentOf(libraries, fault, place), ...options.env },
    stdout: "pipe",
    stderr: "pipe",
  })
  const [said, complaint, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  const left = fault?.kind === "forget" && status === ended_by_fault ? place.after : place.before
  return {
    fault,
    words: linesOf(said).map((line) => JSON.parse(line) as Word),
    status,
    complaint,
    calls: existsSync(place.log) ? linesOf(readFileSync(place.log, "utf8")) : [],
    aftermath: await goOn(join(left, "outbox.db"), ref, () => service.effects),
  }
}

function linesOf(text: string): string[] {
  return text.split("\n").slice(0, -1)
}

/** Beside the disk under test: it forgets nothing, and outlives the process. */
function startService() {
  const service = serveShareService({
    file: ":memory:",
    methods: {
      put: ({ sql }, name) => void sql.run(`INSERT INTO effect (name) VALUES (?)`, String(name)),
      refuse: () => {
        throw new Rejection("poison", "rejected for good")
      },
    },
  })
  service.sql.run(`CREATE TABLE effect (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT`)
  return {
    ref: {
      service: `${service.url}/rpc/share`,
      share_id: "share_of_the_life_0",
      secret: "secret_of_the_life_0123456789abcdef",
    },
    get effects() {
      return service.sql.all<{ name: OpName }>(`SELECT name FROM effect ORDER BY id`).map(({ name }) => name)
    },
    [Symbol.asyncDispose]: () => service.stop(),
  }
}

/** Opens what is left, sends what waits, records one more op, and looks. */
async function goOn(file: string, ref: SturdyRef, effects: () => OpName[]): Promise<Aftermath> {
  const wrong: string[] = []
  const found = { aside: undefined as string | undefined, states: new Map<string, string[]>(), held: new Set<OpName>() }
  try {
    // Later than the life, and drawn from other numbers: other ids.
    const { outbox, stream, until } = openTurned(file, ref, 99, new ManualClock(1_700_000_100_000))
    found.aside = outbox.quarantined?.message
    outbox.on("fault", ({ message }) => void wrong.push(`fault when opened again: ${message}`))
    const drain = async () => {
      const report = outbox.flush()
      if (!(await until(report)) || !(await report).settled) wrong.push("it does not drain")
    }
    outbox.resume()
    await drain()
    stream.record({ method: "put", args: ["z1"], captureId: "z1" })
    await drain()
    await until(outbox.close({ flush_ms: 0 }))
    using db = new ScopedDatabase(file, { readonly: true })
    const { integrity_check } = db.query("pragma integrity_check").get() as { integrity_check: string }
    if (integrity_check !== "ok") wrong.push(`integrity_check: ${integrity_check}`)
    for (const { op_id, state } of db.query<{ op_id: string; state: string }, []>("select * from op_state").all())
      found.states.set(op_id, [...(found.states.get(op_id) ?? []), state])
    for (const { args } of db.query<{ args: string }, []>("select args from sturdy_op order by seq").all())
      found.held.add((JSON.parse(args) as [[OpName]])[0][0])
  } catch (error) {
    wrong.push(`a healthy process cannot go on: ${error instanceof Error ? (error.stack ?? error.message) : error}`)
  }
  return { wrong, effects: effects(), ...found }
}
