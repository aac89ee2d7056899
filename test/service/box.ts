/** A service core on a real file in its own directory, and a writer that makes batches as a client does. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { encodeArgs } from "../../src/intent/codec.ts"
import type { WireOp } from "../../src/intent/op.ts"
import { systemRandom } from "../../src/intent/system.ts"
import { randomId, ulidFactory } from "../../src/intent/ulid.ts"
import { type Core, type CoreOptions, openCore, type ServiceEvent } from "../../src/service/core.ts"
import { openShareServiceFile } from "../../src/service/sql-bun.ts"
import { ShareServiceTarget } from "../../src/service/target.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import type { Ack, AppendBatch, Grant, LiveShare, Refusal } from "../../src/wire/contract.ts"

export const nextId = ulidFactory(new ManualClock(), systemRandom)
export const freshId = (bits = 256) => randomId(systemRandom, bits)

export function tempDir() {
  const path = mkdtempSync(join(tmpdir(), "sturdy-service-"))
  return {
    path,
    file: join(path, "service.db"),
    /** Everything that is on disk, as one binary text; the shared index holds lock marks and nothing of its own. */
    bytes: () =>
      readdirSync(path)
        .filter((name) => !name.endsWith("-shm"))
        .map((name) => readFileSync(join(path, name), "latin1"))
        .join("\n"),
    async [Symbol.asyncDispose]() {
      rmSync(path, { recursive: true, force: true })
    },
  }
}

export async function openBox(options: Partial<CoreOptions> = {}) {
  const dir = tempDir()
  const clock = new ManualClock()
  const events: ServiceEvent[] = []
  let sql = openShareServiceFile(dir.file)
  const open = () =>
    openCore({
      sql,
      seams: { clock, random: systemRandom, crashPoint: () => {} },
      observe: (event) => events.push(event),
      ...options,
    })
  let core = open()
  const ref = { share_id: freshId(128), secret: freshId() }
  const api = () => new ShareServiceTarget(core, "https://share.example")
  const redeem = (secret = ref.secret, writer_id = freshId(128)) =>
    api().redeemShare({ share_id: ref.share_id, secret, writer_id })
  return {
    dir,
    clock,
    events,
    ref,
    redeem,
    get core(): Core {
      return core
    },
    get api() {
      return api()
    },
    restart() {
      sql.close()
      sql = openShareServiceFile(dir.file)
      core = open()
    },
    create: () => api().createShare({ ...ref, session_id: "ses_1" }),
    writer: (writer_id = freshId(128)) => new Writer(() => redeem(ref.secret, writer_id), writer_id),
    /** Effects of an op, counted where they are. */
    effects: (op_id: string) =>
      core.sql.all(`SELECT 1 FROM applied WHERE op_id = ?`, Buffer.from(hexOf(op_id), "hex")).length,
    rows: (table: string) => core.sql.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)!.n,
    async [Symbol.asyncDispose]() {
      sql.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

function hexOf(op_id: string): string {
  const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
  const value = [...op_id].reduce((sum, letter) => sum * 32n + BigInt(alphabet.indexOf(letter)), 0n)
  return value.toString(16).padStart(32, "0")
}

export function op(method: string, args: unknown[] = [], more: Partial<WireOp> = {}): WireOp {
  return {
    op_id: nextId(),
    method,
    codec: "capnweb",
    args: encodeArgs(args).text,
    depends_on: [],
    schema_version: 1,
    time_created: 1_600_000_000_000,
    ...more,
  }
}

/** Follows the register by the answers, as a client's base does. */
export class Writer {
  cursor = 0
  head: string | null = null
  settled: string | null = null
  share: LiveShare

  constructor(
    redeem: () => Grant,
    readonly writer_id: string,
  ) {
    this.share = redeem().share
  }

  batch(ops: WireOp[], more: Partial<AppendBatch> = {}): AppendBatch {
    return {
      writer_id: this.writer_id,
      batch_id: nextId(),
      expected_cursor: this.cursor,
      expected_head_op_id: this.head,
      settled_op_id: this.settled,
      ops,
      ...more,
    }
  }

  send(ops: WireOp[], more: Partial<AppendBatch> = {}): Ack | Refusal {
    return this.share.appendOps(this.batch(ops, more))
  }

  /** Sends what must be acknowledged, and moves on. */
  append(...ops: WireOp[]): Ack {
    const answer = this.send(ops)
    if ("refused" in answer) throw new Error(`refused: ${answer.refused}: ${answer.message}`)
    this.cursor = answer.cursor
    this.head = answer.head_op_id
    this.settled = ops.at(-1)!.op_id
    return answer
  }
}

/** What an answer says, short: the code of a refusal, or the three lists and the cursor. */
export function said(answer: Ack | Refusal) {
  if ("refused" in answer) return answer.refused
  const { applied, duplicates, rejected, cursor } = answer
  return { applied, duplicates, rejected: rejected.map(({ op_id, code }) => [op_id, code]), cursor }
}

export function codeOf(body: () => unknown): unknown {
  try {
    body()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
  return "no error"
}
