/** Capabilities: epochs, scopes, secrets that are replaced. */
import type { ServiceCase } from "./service-case.ts"
import type { Trial, Writer } from "./trial.ts"
import type { ShareRef } from "./service-subject.ts"

/** The ref of an attenuated capability. */
async function attenuated(t: Trial, ref: ShareRef, input: { scopes: string[]; expires_at?: number }) {
  const post = t.post()
  const sent = post.redeem({ ...ref, writer_id: t.randomId(128) }).call("attenuate", input)
  await post.send()
  const { capability_id, secret } = t.value("scopes", sent, {}) as { capability_id: string; secret: string }
  return { capability_id, ref: { share_id: ref.share_id, secret } }
}

function redeemed(t: Trial, { ref, writer_id }: Pick<Writer, "ref" | "writer_id">) {
  const post = t.post()
  return { post, grant: post.redeem({ ...ref, writer_id }) }
}

export const capabilityCases: readonly ServiceCase[] = [
  {
    name: "a grant of an earlier epoch is refused stale_epoch, and the same batch is decided once it is redeemed again",
    needs: ["revokeCapability"],
    run: async (t) => {
      const writer = await t.writer()
      const op = t.op()
      const batch = t.batch(writer, [op])
      const { post, grant } = redeemed(t, writer)
      const revoked = grant.call("revokeCapability", {})
      const stale = grant.append(batch)
      await post.send()
      const { epoch } = t.value("epoch", revoked, {})
      t.refused("epoch", stale, "stale_epoch")
      t.value("epoch", stale, { epoch })
      const sent = await t.append(writer, batch)
      t.ack("epoch", sent, { applied: [op], cursor: 1, head: op.op_id })
      t.value("epoch", sent, { epoch })
    },
  },
  {
    name: "rule 1: stale_epoch comes before malformed, and before server_reset",
    needs: ["revokeCapability"],
    run: async (t) => {
      const writer = await t.writer()
      const { post, grant } = redeemed(t, writer)
      grant.call("revokeCapability", {})
      const malformed = grant.append(t.batch(writer, []))
      const reset = grant.append(t.batch(writer, [t.op()], { settled_op_id: t.nextId() }))
      await post.send()
      t.refused("rule1", malformed, "stale_epoch")
      t.refused("rule1", reset, "stale_epoch")
    },
  },
  {
    name: "rotateSecret: the new secret is the root, the old one is revoked, and repeating it changes nothing",
    needs: ["rotateSecret"],
    run: async (t) => {
      const writer = await t.writer()
      const secret = t.randomId()
      const { post, grant } = redeemed(t, writer)
      const [first, again] = [grant.call("rotateSecret", { secret }), grant.call("rotateSecret", { secret })]
      await post.send()
      const { epoch } = t.value("revoked", first, {})
      t.value("revoked", again, { epoch })
      const later = t.post()
      const old = later.redeem({ ...writer.ref, writer_id: writer.writer_id })
      const renewed = later.redeem({ ...writer.ref, secret, writer_id: writer.writer_id })
      await later.send()
      t.error("revoked", old.sent, "revoked")
      t.value("revoked", renewed.sent, { epoch, scopes: ["read", "append", "admin"] })
    },
  },
  {
    name: "the log and the register outlive a rotation: they belong to the share and not to a capability",
    needs: ["rotateSecret", "effects or readShare"],
    run: async (t) => {
      const writer = await t.writer()
      const op = t.op()
      const first = t.batch(writer, [op])
      await t.decide(writer, op)
      const { post, grant } = redeemed(t, writer)
      const secret = t.randomId()
      grant.call("rotateSecret", { secret })
      await post.send()
      writer.ref = { ...writer.ref, secret }
      const again = await t.append(writer, first)
      t.ack("log", again, { duplicates: [op], cursor: 1, head: op.op_id })
      await t.expectEffects("log", writer.ref, [op, 1])
    },
  },
  {
    name: "an op that another capability sent is known: it is answered as a duplicate",
    needs: ["attenuate"],
    run: async (t) => {
      const writer = await t.writer()
      const op = t.op()
      await t.decide(writer, op)
      const child = await t.writer((await attenuated(t, writer.ref, { scopes: ["append"] })).ref)
      const sent = await t.send(child, [op])
      t.ack("log", sent, { duplicates: [op], cursor: 1, head: op.op_id })
    },
  },
  {
    name: "a capability that may only read cannot append, and one that may only append cannot read, attenuate or remove",
    needs: ["attenuate", "readShare", "removeShare"],
    run: async (t) => {
      const ref = await t.share()
      const reader = await t.writer((await attenuated(t, ref, { scopes: ["read"] })).ref)
      t.refused("scopes", await t.send(reader, [t.op()]), "scope_denied")
      const appender = await t.writer((await attenuated(t, ref, { scopes: ["append"] })).ref)
      await t.decide(appender, t.op())
      const { post, grant } = redeemed(t, appender)
      const denied = [
        grant.call("readShare", {}),
        grant.call("attenuate", { scopes: ["append"] }),
        grant.call("removeShare"),
      ]
      await post.send()
      for (const sent of denied) t.error("scopes", sent, "scope_denied")
    },
  },
  {
    name: "attenuate never widens: an admin without append cannot give it",
    needs: ["attenuate"],
    run: async (t) => {
      const child = await attenuated(t, await t.share(), { scopes: ["admin", "read"] })
      const { post, grant } = redeemed(t, { ref: child.ref, writer_id: t.randomId(128) })
      const wider = grant.call("attenuate", { scopes: ["append"] })
      await post.send()
      t.error("scopes", wider, "scope_denied")
    },
  },
  {
    name: "a revoked capability is refused live, and revoked when it is redeemed; what is beside it goes on",
    needs: ["attenuate", "revokeCapability"],
    run: async (t) => {
      const ref = await t.share()
      const child = await attenuated(t, ref, { scopes: ["append"] })
      const beside = await t.writer((await attenuated(t, ref, { scopes: ["append"] })).ref)
      const writer = await t.writer(child.ref)
      const post = t.post()
      const live = post.redeem({ ...child.ref, writer_id: writer.writer_id })
      post
        .redeem({ ...ref, writer_id: t.randomId(128) })
        .call("revokeCapability", { capability_id: child.capability_id })
      const late = live.append(t.batch(writer, [t.op()]))
      const again = post.redeem({ ...child.ref, writer_id: writer.writer_id })
      await post.send()
      t.refused("revoked", late, "revoked")
      t.error("revoked", again.sent, "revoked")
      await t.decide(beside, t.op())
    },
  },
  {
    name: "an expired capability answers expired",
    needs: ["attenuate"],
    run: async (t) => {
      const child = await attenuated(t, await t.share(), { scopes: ["append"], expires_at: 1 })
      const { post, grant } = redeemed(t, { ref: child.ref, writer_id: t.randomId(128) })
      await post.send()
      t.error("revoked", grant.sent, "expired")
    },
  },
  {
    name: "the audit log holds no secret and no payload",
    needs: ["auditLog", "rotateSecret"],
    run: async (t) => {
      const writer = await t.writer()
      const canary = `payload-${t.randomId()}`
      await t.send(writer, [t.call({ method: "no.such.method", args: [canary] })])
      const secret = t.randomId()
      const { post, grant } = redeemed(t, writer)
      grant.call("rotateSecret", { secret })
      await post.send()
      const later = redeemed(t, { ...writer, ref: { ...writer.ref, secret } })
      const log = later.grant.call("auditLog", {})
      await later.post.send()
      t.value("secret", log, {})
      t.repeatsNone(later.post, [t.secret(writer.ref.secret), t.secret(secret), ["an argument", canary]])
    },
  },
]
