/** The share service on Bun: on a file of its own or in the host's database, as a fetch function or a whole server. */
import { post_bytes_max } from "../intent/limit.ts"
import { type CoreOptions, openCore } from "./core.ts"
import { answerRequest } from "./http.ts"
import { openShareServiceFile } from "./sql-bun.ts"
import type { Sql } from "./sql-port.ts"

interface Place {
  /** A database of the host's: handlers write into it, in the transaction that decides their batch. */
  sql?: Sql
  /** Or a file of the service's own, created 0600. */
  file?: string
}

export interface ShareServiceOptions extends Omit<CoreOptions, "sql">, Place {
  /** Origin of the urls of shares, without a trailing slash. @default the origin of each request */
  url?: string
}

export interface ShareServer {
  readonly service_id: string
  /** The database: for reading what was decided. */
  readonly sql: Sql
  fetch(request: Request): Promise<Response>
  /** Closes the file that it opened itself. */
  close(): void
}

export function createShareService(options: ShareServiceOptions): ShareServer {
  const { sql, close } = open(options)
  const core = closingOnError(close, () => openCore({ ...options, sql }))
  return { service_id: core.service_id, sql, close, fetch: (request) => answerRequest(core, request, options.url) }
}

function open({ sql, file }: Place): { sql: Sql; close: () => void } {
  if (sql) return { sql, close: () => {} }
  if (file === undefined) throw new TypeError("the share service needs sql or file")
  const opened = openShareServiceFile(file)
  return { sql: opened, close: opened.close }
}

export interface ServeOptions extends ShareServiceOptions {
  /** @default 0, any free port */
  port?: number
  /** @default "127.0.0.1": others reach it through a proxy that speaks TLS */
  hostname?: string
}

export interface RunningShareService extends ShareServer, AsyncDisposable {
  /** Origin, without a trailing slash. */
  readonly url: string
  readonly port: number
  /** Lets requests under way finish, then closes. */
  stop(): Promise<void>
}

/** Room above the limit, so that a body over it gets the service's own answer as long as it is not far over. */
const body_slack_bytes = 64 * 1024

export function serveShareService(options: ServeOptions): RunningShareService {
  const service = createShareService(options)
  const server = closingOnError(service.close, () =>
    Bun.serve({
      port: options.port ?? 0,
      hostname: options.hostname ?? "127.0.0.1",
      maxRequestBodySize: post_bytes_max + body_slack_bytes,
      fetch: (request) => service.fetch(request),
    }),
  )
  const stop = async () => {
    await server.stop()
    service.close()
  }
  return {
    ...service,
    url: server.url.origin,
    port: server.port!,
    stop,
    close: () => {
      void server.stop(true)
      service.close()
    },
    [Symbol.asyncDispose]: stop,
  }
}

function closingOnError<T>(close: () => void, start: () => T): T {
  try {
    return start()
  } catch (error) {
    close()
    throw error
  }
}
