/** The real client and the real service, and between them, on real sockets, the fault proxy. */
import { Rejection, serveShareService, type Methods } from "../../src/service/index.ts"
import { openFaultProxy } from "../../src/testing/fault-proxy/index.ts"
import { openOutbox, type OutboxOptions, type Stream, type SturdyRef } from "../../src/index.ts"
import { tempDir } from "../temp-dir.ts"

const methods: Methods = {
  put: ({ sql, share_id }, name) => {
    sql.run(`INSERT INTO effect (share_id, name) VALUES (?, ?)`, share_id, String(name))
    return name
  },
  poison: () => {
    throw new Rejection("poison", "rejected for good")
  },
}

/** A service whose effects can be read, in memory: what a disk does is tested elsewhere. */
export function serveWithEffects() {
  const failures: unknown[] = []
  const service = serveShareService({
    file: ":memory:",
    methods,
    observe: (event) => void (event.name === "failure" && failures.push(event.error)),
  })
  service.sql.run(`CREATE TABLE effect (id INTEGER PRIMARY KEY, share_id TEXT, name TEXT) STRICT`)
  service.sql.run(`CREATE INDEX effect_share ON effect (share_id)`)
  return {
    service,
    /** Names of the ops that had an effect on the share, in order. */
    effects: ({ share_id }: SturdyRef): string[] =>
      service.sql
        .all<{ name: string }>(`SELECT name FROM effect WHERE share_id = ? ORDER BY id`, share_id)
        .map(({ name }) => name),
    async [Symbol.asyncDispose]() {
      service.close()
      if (failures.length > 0) throw new AggregateError(failures, "the service failed")
    },
  }
}

/** An outbox of its own that reaches the service through a proxy of its own. */
export async function openProxied(to: string, options: OutboxOptions = {}) {
  const dir = tempDir()
  const proxy = await openFaultProxy({ to })
  const outbox = openOutbox(dir.file(), { lingerMs: 0, retryDelayMsMin: 1, retryDelayMsMax: 1, ...options })
  return {
    proxy,
    outbox,
    /** A stream to a share that its first POST creates. */
    stream(): { stream: Stream; ref: SturdyRef } {
      const ref = outbox.newRef(`${proxy.url}/rpc/share`)
      return { ref, stream: outbox.stream(ref.share_id, ref, { create: { session_id: "ses_1" } }) }
    },
    async [Symbol.asyncDispose]() {
      await outbox.close({ flush_ms: 0 })
      await proxy[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}
