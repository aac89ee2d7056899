/** The life of a share: created once, redeemed, read, removed for ever. */
import { isDeepStrictEqual } from "node:util"
import { decodeArgs } from "../../intent/codec.ts"
import { batch_bytes_floor, batch_ops_floor, op_bytes_floor } from "../../intent/limit.ts"
import type { GrantFacts, SharedOp, WireOp } from "../../wire/contract.ts"
import type { ServiceCase } from "./service-case.ts"
import type { Trial } from "./trial.ts"

const session_id = "conformance"

export const shareCases: readonly ServiceCase[] = [
  {
    name: "createShare: the same again gives the same answer, and takes nothing away",
    needs: ["createShare"],
    run: async (t) => {
      const writer = await t.writer()
      await t.decide(writer, t.op())
      const post = t.post()
      const [first, second] = [post.create({ ...writer.ref, session_id }), post.create({ ...writer.ref, session_id })]
      await post.send()
      const { url } = t.value("create", first, { id: writer.ref.share_id, secret: writer.ref.secret })
      if (typeof url !== "string" || url === "") t.fail("create", `url should be a text, it is ${JSON.stringify(url)}`)
      t.value("create", second, { id: writer.ref.share_id, secret: writer.ref.secret, url })
      await t.expectRegister("create", writer, { cursor: 1, head: writer.head })
    },
  },
  {
    name: "createShare of an id that is taken with another secret or session is share_exists",
    needs: ["createShare"],
    run: async (t) => {
      const ref = await t.share()
      const post = t.post()
      const secret = post.create({ ...ref, secret: t.randomId(), session_id })
      const session = post.create({ ...ref, session_id: "another" })
      await post.send()
      t.error("create", secret, "share_exists")
      t.error("create", session, "share_exists")
    },
  },
  {
    name: "a grant tells share, service, epoch, scopes, limits and the register (0, null), and redeeming changes nothing",
    run: async (t) => {
      const { ref, writer_id } = await t.writer()
      const post = t.post()
      const [first, second] = [post.redeem({ ...ref, writer_id }), post.redeem({ ...ref, writer_id })]
      await post.send()
      const scopes = ["read", "append", "admin"]
      const facts = t.value("redeem", first.sent, { share_id: ref.share_id, scopes, cursor: 0, head_op_id: null })
      const { service_id, epoch, limits } = facts as unknown as GrantFacts
      if (typeof service_id !== "string" || service_id === "") t.fail("redeem", "the grant names no service_id")
      if (!Number.isSafeInteger(epoch)) t.fail("redeem", `epoch should be an integer, it is ${String(epoch)}`)
      t.value("redeem", second.sent, { ...facts })
      const floors = {
        batch_ops_max: batch_ops_floor,
        batch_bytes_max: batch_bytes_floor,
        op_bytes_max: op_bytes_floor,
      }
      for (const [name, floor] of Object.entries(floors)) {
        const granted: unknown = limits?.[name as keyof typeof floors]
        if (!(Number.isSafeInteger(granted) && (granted as number) >= floor))
          t.fail("limits", `${name} should be at least ${floor}, it is ${String(granted)}`)
      }
    },
  },
  {
    name: "shares of one service name the same service_id",
    run: async (t) => {
      const refs = [await t.share(), await t.share()]
      const post = t.post()
      const grants = refs.map((ref) => post.redeem({ ...ref, writer_id: t.randomId(128) }))
      await post.send()
      const { service_id } = t.value("redeem", grants[0]!.sent, {})
      t.value("redeem", grants[1]!.sent, { service_id })
    },
  },
  {
    name: "a wrong secret, an unknown share and a malformed ref get one answer, word for word",
    run: async (t) => {
      const ref = await t.share()
      const wrong = [{ secret: t.randomId() }, { share_id: t.randomId(128) }, { share_id: "x" }, { secret: "%" }]
      const post = t.post()
      const sent = wrong.map((change) => post.redeem({ ...ref, ...change, writer_id: t.randomId(128) }).sent)
      await post.send()
      const texts = sent.map((one) => {
        t.error("alike", one, "share_unknown")
        return (one.answer as { message: string }).message
      })
      if (new Set(texts).size > 1) t.fail("alike", `the messages tell them apart: ${[...new Set(texts)].join(" / ")}`)
    },
  },
  {
    name: "readShare pages through the applied ops, each once and in order, and never shows a rejected one",
    needs: ["readShare"],
    run: async (t) => {
      const one = await t.writer()
      const two = await t.writer(one.ref)
      const [a, b, poison, c] = [t.op(), t.op(), t.poison(), t.op()]
      await t.decide(one, a)
      await t.decide(two, b, poison)
      await t.decide(one, c)
      const wanted = [a, b, c].map((op) => t.notation.op(op.op_id)).join(" ")
      for (const limit of [undefined, 1, 2]) {
        const ops = await t.read(one.ref, limit)
        const got = ops.map((op) => t.notation.op(op.op_id)).join(" ")
        if (got !== wanted) t.fail("read", `in pages of ${limit ?? "any size"} it gives ${got}, not ${wanted}`)
        if (ops.some((op, index) => index > 0 && op.position <= ops[index - 1]!.position))
          t.fail("read", `positions should grow: ${ops.map((op) => op.position).join(" ")}`)
        expectShared(t, ops, [a, b, c])
      }
    },
  },
  {
    name: "a removed share answers share_removed to a right secret, share_unknown to a wrong one, and appends nothing",
    needs: ["removeShare"],
    run: async (t) => {
      const writer = await t.writer()
      await t.decide(writer, t.op())
      const post = t.post()
      const grant = post.redeem({ ...writer.ref, writer_id: writer.writer_id })
      const removed = grant.call("removeShare")
      const again = grant.call("removeShare")
      const late = grant.append(t.batch(writer, [t.op()]))
      const right = post.redeem({ ...writer.ref, writer_id: writer.writer_id })
      const wrong = post.redeem({ ...writer.ref, secret: t.randomId(), writer_id: writer.writer_id })
      await post.send()
      t.value("removed", removed, { removed: true })
      t.value("removed", again, { removed: true })
      t.refused("removed", late, "share_removed")
      t.error("removed", right.sent, "share_removed")
      t.error("removed", wrong.sent, "share_unknown")
    },
  },
  {
    name: "the tombstone holds: createShare of a removed share is share_removed, with another secret share_exists",
    needs: ["createShare", "removeShare"],
    run: async (t) => {
      const ref = await t.share()
      await removeShare(t, ref)
      const post = t.post()
      const same = post.create({ ...ref, session_id })
      const other = post.create({ ...ref, secret: t.randomId(), session_id })
      await post.send()
      t.error("removed", same, "share_removed")
      t.error("removed", other, "share_exists")
    },
  },
  {
    name: "a share that is created, redeemed and removed in one POST is removed: what comes late revives nothing",
    needs: ["createShare", "removeShare"],
    run: async (t) => {
      const writer = { ...(await t.writer(t.newRef())) }
      const post = t.post()
      post.create({ ...writer.ref, session_id })
      const removed = post.redeem({ ...writer.ref, writer_id: writer.writer_id }).call("removeShare")
      await post.send()
      t.value("removed", removed, { removed: true })
      const late = t.post()
      const created = late.create({ ...writer.ref, session_id })
      const sent = late.redeem({ ...writer.ref, writer_id: writer.writer_id })
      await late.send()
      t.error("removed", created, "share_removed")
      t.error("removed", sent.sent, "share_removed")
    },
  },
]

export async function removeShare(t: Trial, ref: { share_id: string; secret: string }): Promise<void> {
  const post = t.post()
  const removed = post.redeem({ ...ref, writer_id: t.randomId(128) }).call("removeShare")
  await post.send()
  t.value("removed", removed, { removed: true })
}

/** What readShare tells of applied ops is what was sent; `args` are those of it, with references replaced. */
export function expectShared(t: Trial, shared: SharedOp[], ops: WireOp[]): void {
  for (const [index, op] of ops.entries()) {
    const fault = sharedFault(shared[index]!, op)
    if (fault) t.fail("read", `op ${t.notation.op(op.op_id)}: ${fault}`)
  }
}

function sharedFault(shared: SharedOp, op: WireOp): string | undefined {
  for (const name of ["method", "schema_version", "time_created"] as const)
    if (shared[name] !== op[name])
      return `${name} should be ${JSON.stringify(op[name])}, it is ${JSON.stringify(shared[name])}`
  if (!Number.isFinite(shared.time_applied))
    return `time_applied should be a number of ms, it is ${JSON.stringify(shared.time_applied)}`
  if (isDeepStrictEqual(argsOf(shared), argsOf(op))) return
  const text = JSON.stringify(shared.args)?.slice(0, 200)
  return `args should be ${JSON.stringify(op.args)} or the same in the codec json, they are ${text} in ${shared.codec}`
}

/** undefined if they are none. */
function argsOf({ codec, args }: Pick<SharedOp, "codec" | "args">): unknown {
  try {
    return codec === "json" ? JSON.parse(args) : decodeArgs(args)
  } catch {
    return
  }
}
