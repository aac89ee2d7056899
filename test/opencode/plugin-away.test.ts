/** The plugin is taken out for a while, and comes back; or what its shares stand for is mended meanwhile. */
import { expect, test } from "bun:test"
import { systemSeams } from "../../src/intent/system.ts"
import { outboxFile } from "../../src/opencode/data-place.ts"
import { pluginOptions } from "../../src/opencode/plugin-options.ts"
import { PluginProcess } from "../../src/opencode/plugin-process.ts"
import { openDatabaseForReading } from "../../src/store/database.ts"
import { until } from "../until.ts"
import { pluginBox } from "./plugin-box.ts"

type Box = Awaited<ReturnType<typeof pluginBox>>

const json = { "content-type": "application/json" }

/** Shared with the plugin, which is then taken out: opencode's own client is asked from now on. */
async function sharedThenAway(box: Box) {
  const { opencode, service } = box
  await opencode.load()
  const id = opencode.session()
  opencode.say(id, "one")
  const share = (await opencode.share(id))!
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["one"]))
  opencode.deaf = true
  opencode.config = { enterprise: { url: service.url } }
  return { id, share }
}

async function comeBack({ opencode }: Box): Promise<void> {
  opencode.deaf = false
  await opencode.load()
}

const removals = () => {
  using db = openDatabaseForReading(outboxFile(process.env))
  return db.query("select name, time_removal is not null as removed from sturdy_stream").values()
}

test("a share that was unshared meanwhile is given up when the service says so", async () => {
  await using box = await pluginBox()
  const { id } = await sharedThenAway(box)
  expect(await box.opencode.unshare(id)).toBe(true)
  await comeBack(box)
  box.opencode.say(id, "two")
  await until(() => Bun.deepEquals(removals(), [[id, 1]]))
})

test("a share that was replaced meanwhile is the session's share, kept up to date, and goes with the session", async () => {
  await using box = await pluginBox()
  const { id } = await sharedThenAway(box)
  expect(await box.opencode.unshare(id)).toBe(true)
  const made = await fetch(`${box.service.url}/api/share`, {
    method: "POST",
    body: JSON.stringify({ sessionID: id }),
    headers: json,
  })
  const share = (await made.json()) as { id: string; secret: string; url: string }
  box.opencode.db.query("insert into session_share values (?, ?, ?, ?)").run(id, share.id, share.secret, share.url)
  await comeBack(box)
  box.opencode.say(id, "two")
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["one", "two"]))
  box.opencode.delete(id)
  await until(async () => (await box.shown(share.id)) === 410)
})

/** A gateway before the service that wants a key, as long as it is closed. */
function gate(box: Box) {
  const seen: (string | null)[] = []
  const gateway = {
    closed: true,
    seen,
    server: Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request): Promise<Response> | Response => {
        const key = request.headers.get("sturdy-service-key")
        seen.push(key)
        return gateway.closed && key !== "k3y" ? new Response(null, { status: 401 }) : box.service.fetch(request)
      },
    }),
    [Symbol.asyncDispose]: () => gateway.server.stop(true),
  }
  return gateway
}

test("what stood for a key is tried at once by the next start", async () => {
  await using box = await pluginBox()
  await using gateway = gate(box)
  box.options.service = gateway.server.url.origin
  await box.opencode.load()
  const id = box.opencode.session()
  box.opencode.say(id, "one")
  const share = (await box.opencode.share(id))!
  await until(() => box.opencode.toasts.some((toast) => toast.includes("scope_denied")))
  expect(box.opencode.toasts.at(-1)).toContain("OPENCODE_SHARE_RPC_KEY")
  gateway.closed = false
  await box.opencode.load()
  await until(async () => Bun.deepEquals(await box.texts(share.id), ["one"]))
})

test("the service key goes to the service that was named, and to no other at which a share still is", async () => {
  await using box = await pluginBox()
  await using named = gate(box)
  await using other = gate(box)
  other.closed = false
  const endpoint = ({ server }: typeof named) => `${server.url.origin}/rpc/share`
  const options = pluginOptions({ database: box.dir.file("keyed.db") }, { OPENCODE_SHARE_RPC_KEY: "k3y" })
  const host = PluginProcess.of(options, box.dir.path, systemSeams)
  host.name(endpoint(named))
  for (const [name, gateway] of Object.entries({ named, other }))
    host.outbox.stream(name, host.outbox.newRef(endpoint(gateway)), { create: { session_id: name } })
  expect(await host.outbox.flush()).toEqual({ settled: true, blocked: [] })
  expect([named.seen, other.seen]).toEqual([["k3y"], [null]])
  await host.outbox.close()
})
