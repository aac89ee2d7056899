import { expect, test } from "bun:test"
import fc from "fast-check"
import type { WireOp } from "../../src/intent/op.ts"
import type { AppendBatch, Grant, LiveShare } from "../../src/wire/contract.ts"
import { codeOf, freshId, nextId, op, openBox, said } from "./box.ts"

async function setup() {
  const box = await openBox()
  box.create()
  return box
}

const put = () => op("message.put", [{ id: "msg_1" }])

function append(grant: Grant) {
  return said(grant.share.appendOps(batchOf(put())))
}

function batchOf(...ops: WireOp[]): AppendBatch {
  const register = { expected_cursor: 0, expected_head_op_id: null, settled_op_id: null }
  return { writer_id: freshId(128), batch_id: nextId(), ...register, ops }
}

/** Every method, each with fitting input. appendOps is told apart: it returns. */
const calls: Record<string, (share: LiveShare) => unknown> = {
  readShare: (share) => share.readShare({}),
  attenuate: (share) => share.attenuate({ scopes: ["read"] }),
  revokeCapability: (share) => share.revokeCapability({}),
  rotateSecret: (share) => share.rotateSecret({ secret: freshId() }),
  auditLog: (share) => share.auditLog({}),
  removeShare: (share) => share.removeShare(),
}

test("createShare gives the same answer for the same input, also after a rotation", async () => {
  await using box = await setup()
  const first = box.create()
  expect(first).toEqual({
    id: box.ref.share_id,
    url: `https://share.example/share/${box.ref.share_id}`,
    secret: box.ref.secret,
  })
  expect([box.create(), box.rows("share"), box.rows("capability")]).toEqual([first, 1, 1])
  box.redeem().share.rotateSecret({ secret: freshId() })
  expect(box.create()).toEqual(first)
})

test("createShare of an id taken with another secret or session is share_exists", async () => {
  await using box = await setup()
  const child = box.redeem().share.attenuate({ scopes: ["admin"] })
  expect(codeOf(() => box.api.createShare({ ...box.ref, session_id: "ses_2" }))).toBe("share_exists")
  expect(codeOf(() => box.api.createShare({ ...box.ref, secret: freshId(), session_id: "ses_1" }))).toBe("share_exists")
  expect(codeOf(() => box.api.createShare({ ...box.ref, secret: child.secret, session_id: "ses_1" }))).toBe(
    "share_exists",
  )
})

test("createShare with a session id alone makes an unguessable id and secret, each time others", async () => {
  await using box = await openBox()
  const [one, two] = [box.api.createShare("ses_1"), box.api.createShare("ses_1")]
  expect([one.id.length >= 16, one.secret.length >= 43, one.id === two.id, one.secret === two.secret]).toEqual([
    true,
    true,
    false,
    false,
  ])
  expect(box.api.redeemShare({ share_id: one.id, secret: one.secret, writer_id: freshId() }).scopes).toEqual([
    "read",
    "append",
    "admin",
  ])
})

test("a grant says what the contract promises and redeeming writes nothing", async () => {
  await using box = await setup()
  const before = box.dir.bytes()
  const { share: _, ...facts } = box.redeem()
  expect(facts).toEqual({
    share_id: box.ref.share_id,
    service_id: box.core.service_id,
    epoch: 1,
    scopes: ["read", "append", "admin"],
    cursor: 0,
    head_op_id: null,
    limits: { batch_ops_max: 1000, batch_bytes_max: 8 * 1024 * 1024, op_bytes_max: 4 * 1024 * 1024 },
  })
  expect(box.dir.bytes()).toBe(before)
})

test("limits are never granted below the floors", async () => {
  await using box = await openBox({ limits: { batch_ops_max: 1, batch_bytes_max: 1, op_bytes_max: 1 } })
  box.create()
  expect(box.redeem().limits).toEqual({ batch_ops_max: 100, batch_bytes_max: 1024 * 1024, op_bytes_max: 256 * 1024 })
})

test("a wrong secret, an unknown share and a malformed ref get one answer", async () => {
  await using box = await setup()
  const answers = [
    { ...box.ref, secret: freshId() },
    { ...box.ref, share_id: freshId() },
    { ...box.ref, share_id: "x" },
    { ...box.ref, secret: "%" },
  ].map((ref) => {
    try {
      return box.api.redeemShare({ ...ref, writer_id: freshId() })
    } catch (error) {
      return [(error as { code?: unknown }).code, (error as Error).message]
    }
  })
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
  expect(answers[0]).toEqual(["share_unknown", expect.any(String)])
})

test("scopes: what each capability may call, and nothing else", async () => {
  await using box = await setup()
  const root = box.redeem().share
  const denied = (scope: "read" | "append" | "admin") => {
    const grant = box.redeem(root.attenuate({ scopes: [scope] }).secret)
    const one = append(grant) === "scope_denied" ? ["appendOps"] : []
    return [...one, ...Object.keys(calls).filter((name) => codeOf(() => calls[name]!(grant.share)) === "scope_denied")]
  }
  expect(denied("read")).toEqual(["appendOps", ...Object.keys(calls).filter((name) => name !== "readShare")])
  expect(denied("append")).toEqual(Object.keys(calls))
  // An admin of no other scope cannot give what it lacks, and is not the root.
  expect(denied("admin")).toEqual(["appendOps", "readShare", "attenuate", "revokeCapability", "rotateSecret"])
})

test("attenuate never widens scopes", async () => {
  await using box = await setup()
  const child = box.redeem(box.redeem().share.attenuate({ scopes: ["admin", "read"] }).secret)
  for (const scopes of [["append"], ["admin", "append"]])
    expect(codeOf(() => child.share.attenuate({ scopes }))).toBe("scope_denied")
  expect(box.redeem(child.share.attenuate({ scopes: ["read"] }).secret).scopes).toEqual(["read"])
  for (const scopes of [[], ["root"], "read", ["read", 1]] as string[][])
    expect(codeOf(() => child.share.attenuate({ scopes }))).toBe("malformed")
})

test("attenuate never extends an expiry", async () => {
  await using box = await setup()
  const expires_at = box.clock.now() + 1000
  const child = box.redeem(box.redeem().share.attenuate({ scopes: ["admin"], expires_at }).secret)
  const later = child.share.attenuate({ scopes: ["admin"], expires_at: expires_at + 1 })
  const without = child.share.attenuate({ scopes: ["admin"] })
  const sooner = box.redeem(child.share.attenuate({ scopes: ["admin"], expires_at: expires_at - 500 }).secret)
  box.clock.turn(500)
  expect(codeOf(() => sooner.share.auditLog({}))).toBe("expired")
  box.clock.turn(500)
  for (const { secret } of [later, without]) expect(codeOf(() => box.redeem(secret))).toBe("expired")
})

test("an expired capability answers expired, live and redeemed again", async () => {
  await using box = await setup()
  const { secret } = box.redeem().share.attenuate({ scopes: ["append", "read"], expires_at: box.clock.now() + 10 })
  const grant = box.redeem(secret)
  box.clock.turn(9)
  expect(append(grant)).toMatchObject({ cursor: 1 })
  box.clock.turn(1)
  expect([append(grant), codeOf(() => grant.share.readShare({})), codeOf(() => box.redeem(secret))]).toEqual([
    "expired",
    "expired",
    "expired",
  ])
})

test("attenuations go eight deep", async () => {
  await using box = await setup()
  let grant = box.redeem()
  for (let depth = 0; depth < 8; depth++) grant = box.redeem(grant.share.attenuate({ scopes: ["admin"] }).secret)
  expect(codeOf(() => grant.share.attenuate({ scopes: ["admin"] }))).toBe("too_large")
})

test("revoking a capability ends it and all below it, and nothing beside it", async () => {
  await using box = await setup()
  const root = box.redeem().share
  const child = root.attenuate({ scopes: ["admin", "read"] })
  const beside = root.attenuate({ scopes: ["read"] })
  const childGrant = box.redeem(child.secret)
  const grandchild = childGrant.share.attenuate({ scopes: ["read"] })
  const grandchildGrant = box.redeem(grandchild.secret)
  expect(root.revokeCapability({ capability_id: child.capability_id })).toEqual({ epoch: 1 })
  for (const grant of [childGrant, grandchildGrant]) expect(codeOf(() => grant.share.readShare({}))).toBe("revoked")
  for (const { secret } of [child, grandchild]) expect(codeOf(() => box.redeem(secret))).toBe("revoked")
  expect(box.redeem(beside.secret).share.readShare({}).ops).toEqual([])
  expect(root.revokeCapability({ capability_id: child.capability_id })).toEqual({ epoch: 1 })
  expect(codeOf(() => root.revokeCapability({ capability_id: "nothing" }))).toBe("scope_denied")
})

test("a capability revokes only what descends from it", async () => {
  await using box = await setup()
  const root = box.redeem().share
  const [one, two] = [root.attenuate({ scopes: ["admin"] }), root.attenuate({ scopes: ["admin"] })]
  const share = box.redeem(one.secret).share
  for (const { capability_id } of [one, two])
    expect(codeOf(() => share.revokeCapability({ capability_id }))).toBe("scope_denied")
  const below = share.attenuate({ scopes: ["admin"] })
  share.revokeCapability({ capability_id: below.capability_id })
  expect(codeOf(() => box.redeem(below.secret))).toBe("revoked")
})

test("revoking all: the others are dead, the root is redeemed again, its live grants are stale", async () => {
  await using box = await setup()
  const grant = box.redeem()
  const child = grant.share.attenuate({ scopes: ["append"] })
  const childGrant = box.redeem(child.secret)
  expect(grant.share.revokeCapability({})).toEqual({ epoch: 2 })
  expect(grant.share.appendOps(batchOf(put()))).toMatchObject({ refused: "stale_epoch", epoch: 2 })
  expect(Object.keys(calls).map((name) => codeOf(() => calls[name]!(grant.share)))).toEqual(
    Object.keys(calls).map(() => "stale_epoch"),
  )
  expect([append(childGrant), codeOf(() => box.redeem(child.secret))]).toEqual(["revoked", "revoked"])
  expect(box.redeem()).toMatchObject({ epoch: 2, scopes: ["read", "append", "admin"] })
})

test("rotateSecret: the old secret is revoked, the new one is the root, children are dead, repeating changes nothing", async () => {
  await using box = await setup()
  const grant = box.redeem()
  const child = grant.share.attenuate({ scopes: ["read"] })
  const secret = freshId()
  expect(grant.share.rotateSecret({ secret })).toEqual({ epoch: 2 })
  expect(grant.share.rotateSecret({ secret })).toEqual({ epoch: 2 })
  const renewed = box.redeem(secret)
  expect(renewed.share.rotateSecret({ secret })).toEqual({ epoch: 2 })
  expect(renewed).toMatchObject({ epoch: 2, scopes: ["read", "append", "admin"] })
  expect([codeOf(() => box.redeem()), codeOf(() => box.redeem(child.secret))]).toEqual(["revoked", "revoked"])
  expect(append(grant)).toBe("stale_epoch")
  for (const used of [box.ref.secret, child.secret])
    expect(codeOf(() => renewed.share.rotateSecret({ secret: used }))).toBe("malformed")
  expect(codeOf(() => renewed.share.rotateSecret({ secret: "short" }))).toBe("malformed")
})

test("the op log outlives a rotation: an op sent before and after has one effect", async () => {
  await using box = await setup()
  const a = put()
  const batch = batchOf(a)
  box.redeem().share.appendOps(batch)
  const secret = freshId()
  box.redeem().share.rotateSecret({ secret })
  expect(said(box.redeem(secret).share.appendOps(batch))).toMatchObject({ duplicates: [a.op_id] })
  expect(box.effects(a.op_id)).toBe(1)
})

test("removing leaves a tombstone that knows every secret, and nothing of the content", async () => {
  await using box = await setup()
  const writer = box.writer()
  writer.append(put())
  const child = box.redeem().share.attenuate({ scopes: ["append"] })
  const rotated = freshId()
  box.redeem().share.rotateSecret({ secret: rotated })
  const grant = box.redeem(rotated)
  expect([grant.share.removeShare(), grant.share.removeShare()]).toEqual([{ removed: true }, { removed: true }])
  for (const secret of [box.ref.secret, rotated, child.secret])
    expect(codeOf(() => box.redeem(secret))).toBe("share_removed")
  expect(codeOf(() => box.redeem(freshId()))).toBe("share_unknown")
  expect(codeOf(() => box.create())).toBe("share_removed")
  expect(codeOf(() => box.api.createShare({ ...box.ref, secret: freshId(), session_id: "ses_1" }))).toBe("share_exists")
  expect([append(grant), said(writer.send([put()]))]).toEqual(["share_removed", "share_removed"])
  expect(["item", "applied", "op", "writer"].map((table) => box.rows(table))).toEqual([0, 0, 0, 0])
  box.restart()
  expect(codeOf(() => box.create())).toBe("share_removed")
})

test("only an admin is told that a removed share is removed by its removeShare", async () => {
  await using box = await setup()
  const reader = box.redeem(box.redeem().share.attenuate({ scopes: ["read"] }).secret)
  box.redeem().share.removeShare()
  expect(codeOf(() => reader.share.removeShare())).toBe("share_removed")
})

test("removing a share deletes what own methods wrote, in the same transaction", async () => {
  await using box = await openBox({
    methods: {
      note: (context, text) => void context.sql.run(`INSERT INTO note VALUES (?, ?)`, context.share, String(text)),
    },
    onRemove: (sql, share) => void sql.run(`DELETE FROM note WHERE share = ?`, share),
  })
  box.core.sql.run(`CREATE TABLE note (share INTEGER NOT NULL, text TEXT NOT NULL) STRICT`)
  box.create()
  box.writer().append(op("note", ["one"]))
  expect(box.rows("note")).toBe(1)
  box.redeem().share.removeShare()
  expect(box.rows("note")).toBe(0)
})

test("the audit log says who did what when, page by page, without secrets", async () => {
  await using box = await setup()
  const root = box.redeem().share
  const child = root.attenuate({ scopes: ["append", "admin"], label: "phone" })
  const grant = box.redeem(child.secret)
  box.clock.turn(5)
  const below = grant.share.attenuate({ scopes: ["append"] })
  append(grant)
  root.revokeCapability({ capability_id: below.capability_id })
  const log = root.auditLog({})
  expect(log.map(({ position, capability_id, action }) => [position, capability_id, action])).toEqual([
    [1, null, "create"],
    [2, null, "attenuate"],
    [3, child.capability_id, "attenuate"],
    [4, child.capability_id, "append"],
    [5, null, "revoke"],
  ])
  expect(log[4]).toEqual({
    position: 5,
    time: box.clock.now(),
    capability_id: null,
    action: "revoke",
    detail: below.capability_id,
  })
  expect(root.auditLog({ after: 1, limit: 2 }).map(({ position }) => position)).toEqual([2, 3])
  expect(codeOf(() => root.auditLog({ after: -1 }))).toBe("malformed")
})

test("no secret is in any file of the service, nor in an event", async () => {
  await using box = await setup()
  const root = box.redeem()
  const child = root.share.attenuate({ scopes: ["append"], label: "phone" })
  const rotated = freshId()
  append(box.redeem(child.secret))
  root.share.rotateSecret({ secret: rotated })
  box.restart()
  for (const secret of [box.ref.secret, child.secret, rotated]) {
    expect(box.dir.bytes()).not.toContain(secret)
    expect(JSON.stringify(box.events)).not.toContain(secret)
  }
})

test("malformed input of every entry is malformed or unknown, never an internal error", async () => {
  await using box = await setup()
  const share = box.redeem().share as unknown as Record<string, (input: unknown) => unknown>
  const api = box.api as unknown as Record<string, (input: unknown) => unknown>
  const known = ["malformed", "share_unknown", "too_large", "no error", "scope_denied", "share_exists", "stale_epoch"]
  const input = fc.oneof(
    fc.anything(),
    fc.record(
      {
        scopes: fc.anything(),
        limit: fc.anything(),
        secret: fc.anything(),
        share_id: fc.anything(),
        session_id: fc.anything(),
        writer_id: fc.anything(),
      },
      { requiredKeys: [] },
    ),
  )
  fc.assert(
    fc.property(input, fc.constantFrom("createShare", "redeemShare"), (value, name) => {
      expect(known).toContain(codeOf(() => api[name]!(value)) as string)
    }),
    { numRuns: 300, seed: 1 },
  )
  fc.assert(
    fc.property(input, fc.constantFrom("readShare", "attenuate", "rotateSecret", "auditLog"), (value, name) => {
      expect(known).toContain(codeOf(() => share[name]!(value)) as string)
    }),
    { numRuns: 300, seed: 1 },
  )
  expect(box.events.filter(({ name }) => name === "failure")).toEqual([])
})

test("a database that was rolled back to before the share answers share_unknown on a live grant", async () => {
  await using box = await setup()
  const grant = box.redeem()
  for (const table of ["audit", "capability_secret", "capability", "share"]) box.core.sql.run(`DELETE FROM ${table}`)
  expect(append(grant)).toBe("share_unknown")
})
