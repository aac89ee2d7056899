/**
 * What became of each op, looked up in the files of both ends when everybody has ended: nothing lost, doubled or out of
 * order, and nothing counts as applied here that the service does not have.
 */
import type { Database } from "bun:sqlite"
import { readStatus } from "../../../src/inspect/status.ts"
import { ulidText } from "../../../src/store/ulid-text.ts"
import { ScopedDatabase } from "../../scoped-database.ts"
import type { LoggedOp, LogLine } from "./log.ts"

export interface Tally {
  /** Ops whose record returned. */
  recorded: number
  applied: number
  superseded: number
  rejected: number
}

interface Effect {
  id: number
  op_id: string
  place: string
  name: string
  key: string | null
  dependency: string | null
}

interface Local {
  state: Map<string, string>
  replacedBy: Map<string, string>
  status: string[]
}

export function wrongInFiles(
  logs: readonly LogLine[][],
  outbox: string,
  share: string,
): { wrong: string[]; tally: Tally } {
  const lines = logs.flat()
  const units = lines.flatMap((line) => ("recorded" in line ? [line.recorded] : []))
  const ops = units.flat()
  const effects = readEffects(share)
  const local = readLocal(outbox)
  const byName = new Map(effects.map((effect) => [effect.name, effect]))
  const byId = new Map(effects.map((effect) => [effect.op_id, effect]))
  const wrong = [
    ...lines.flatMap((line) => ("wrong" in line ? [line.wrong] : [])),
    ...local.status,
    ...doubled(effects),
    ...ops.flatMap((op) => lost(op, byName, byId, local)),
    ...outOfOrder(effects),
    ...units.flatMap((unit) => torn(unit, effects, byName)),
    ...untrue(local, byId),
  ]
  const states = [...local.state.values()]
  return {
    wrong,
    tally: {
      recorded: ops.length,
      applied: effects.length,
      superseded: states.filter((state) => state === "superseded").length,
      rejected: states.filter((state) => state === "failed").length,
    },
  }
}

function doubled(effects: readonly Effect[]): string[] {
  return (["op_id", "name"] as const).flatMap((field) => {
    const seen = new Set<string>()
    return effects.flatMap((effect) => {
      if (seen.has(effect[field]))
        return [`doubled: ${effect.name} (${effect.op_id}) has a second effect, by its ${field}`]
      seen.add(effect[field])
      return []
    })
  })
}

function lost(op: LoggedOp, byName: Map<string, Effect>, byId: Map<string, Effect>, local: Local): string[] {
  const found = byName.get(op.name)
  if (op.kind === "refused") {
    if (found) return [`untrue: ${op.name} was refused and has an effect`]
    return local.state.get(op.op_id) === "failed" ? [] : [`lost: ${op.name} was refused and is no dead letter`]
  }
  if (found && found.dependency !== (op.on ?? null))
    return [`wrong result: ${op.name} was given ${found.dependency} instead of ${op.on}`]
  if (found) return []
  let op_id: string | undefined = op.op_id
  while (op_id !== undefined && !byId.has(op_id)) op_id = local.replacedBy.get(op_id)
  if (op_id !== undefined && op.key !== undefined && byId.get(op_id)!.key === op.key) return []
  return [`lost: ${op.name} (${op.op_id}, ${op.kind}) has no effect and was not replaced`]
}

/** Of each client on each stream; others may come between. */
function outOfOrder(effects: readonly Effect[]): string[] {
  const last = new Map<string, Effect>()
  return effects.flatMap((effect) => {
    const line = `${effect.place} ${effect.name.split("/")[0]}`
    const before = last.get(line)
    last.set(line, effect)
    return before && !rises(before.name, effect.name) ? [`out of order: ${effect.name} after ${before.name}`] : []
  })
}

function rises(before: string, after: string): boolean {
  const [, ...a] = before.split("/").map(Number)
  const [, ...b] = after.split("/").map(Number)
  return a[0]! < b[0]! || (a[0] === b[0] && a[1]! < b[1]!)
}

/** A unit's ops follow each other with nothing of their stream between. */
function torn(unit: readonly LoggedOp[], effects: readonly Effect[], byName: Map<string, Effect>): string[] {
  const found = unit.flatMap(({ name }) => byName.get(name) ?? [])
  // What is missing is said elsewhere.
  if (unit.length < 2 || found.length < unit.length) return []
  const [first, last] = [found[0]!, found.at(-1)!]
  const between = effects.filter(({ id, place }) => place === first.place && id >= first.id && id <= last.id)
  return between.length === unit.length ? [] : [`torn: the unit of ${first.name} holds ${between.length} effects`]
}

/** Applied here is applied there, and the other way round. */
function untrue(local: Local, byId: Map<string, Effect>): string[] {
  const here = [...local.state].flatMap(([op_id, state]) =>
    state === "acked" && !byId.has(op_id)
      ? [`untrue: ${op_id} counts as applied here, the service does not have it`]
      : [],
  )
  const there = [...byId.keys()].flatMap((op_id) =>
    local.state.get(op_id) === "acked" ? [] : [`untrue: ${op_id} was applied and is ${local.state.get(op_id)} here`],
  )
  return [...here, ...there]
}

function readEffects(file: string): Effect[] {
  using db = new ScopedDatabase(file)
  intact(db)
  return db.query<Effect, []>("select id, op_id, place, name, key, dependency from effect order by id").all()
}

function readLocal(file: string): Local {
  using db = new ScopedDatabase(file)
  const states = db.query<{ op_id: string; state: string }, []>("select op_id, state from op_state").all()
  const replaced = db
    .query<{ op_id: string; by_op_id: string }, []>(
      `select ${ulidText("op_id")} as op_id, ${ulidText("by_op_id")} as by_op_id from sturdy_superseded where by_op_id is not null`,
    )
    .all()
  const status = readStatus(db).streams.flatMap((stream) => {
    const { pending, twins, server_resets, block } = stream
    return pending || twins || server_resets || block
      ? [`stream ${stream.stream}: ${JSON.stringify({ pending, twins, server_resets, block })}`]
      : []
  })
  return {
    state: new Map(states.map(({ op_id, state }) => [op_id, state])),
    replacedBy: new Map(replaced.map(({ op_id, by_op_id }) => [op_id, by_op_id])),
    status: [...intact(db), ...status],
  }
}

function intact(db: Database): string[] {
  const rows = db.query<{ integrity_check: string }, []>("pragma integrity_check").all()
  return rows.flatMap(({ integrity_check: found }) => (found === "ok" ? [] : [`damaged: ${found}`]))
}
