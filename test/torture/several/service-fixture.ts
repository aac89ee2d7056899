/**
 * A share service that counts effects, to be killed and stopped. `forgetful` is a service without a log of op_ids: what
 * arrives has its effect, every time; the torture must find that.
 */
import { deserialize } from "capnweb"
import { createShareService, Rejection, type Methods } from "../../../src/service/index.ts"
import type { AppendBatch } from "../../../src/wire/contract.ts"
import { say, told } from "../child.ts"

export interface EffectServiceConfig {
  file: string
  port: number
  forgetful?: boolean
}

/** `failure`: the service's own bug. */
export type EffectServiceSaid = { url: string } | { failure: string }

const config = JSON.parse(process.argv[2]!) as EffectServiceConfig

const methods: Methods = {
  put({ sql, op_id, share_id }, name, key, on) {
    if (!config.forgetful)
      sql.run(
        "insert into effect (op_id, place, name, key, dependency) values (?, ?, ?, ?, ?)",
        op_id,
        share_id,
        String(name),
        (key ?? null) as string | null,
        (on ?? null) as string | null,
      )
    return { name }
  },
  refuse() {
    throw new Rejection("refused", "rejected for good")
  },
}

const service = createShareService({
  file: config.file,
  methods,
  observe: (event) => event.name === "failure" && say({ failure: String(event.error) }),
})
service.sql.run(
  "create table if not exists effect (id integer primary key, op_id text, place text, name text, key text, dependency text) strict",
)
const server = Bun.serve({
  port: config.port,
  hostname: "127.0.0.1",
  async fetch(request) {
    if (!config.forgetful) return service.fetch(request)
    const body = await request.text()
    service.sql.transaction(() => batchesOf(body).forEach(applyAll))
    return service.fetch(new Request(request.url, { method: request.method, body }))
  },
})
say({ url: server.url.origin })
await told()
await server.stop()
service.close()

function applyAll(batch: AppendBatch): void {
  for (const { op_id, method, args } of batch.ops)
    if (method === "put")
      service.sql.run(
        "insert into effect (op_id, place, name) values (?, ?, ?)",
        // By the text: the reference of a dependent op is nothing that capnweb itself could read.
        op_id,
        batch.writer_id,
        /[a-z]+\/\d+\/\d+/.exec(args)![0],
      )
}

function batchesOf(body: string): AppendBatch[] {
  return body.split("\n").flatMap((line) => {
    const [kind, call] = JSON.parse(line) as [string, [string, number, string[], unknown[]]]
    if (kind !== "push" || call[2].at(-1) !== "appendOps") return []
    return [deserialize(JSON.stringify(call[3][0])) as AppendBatch]
  })
}
