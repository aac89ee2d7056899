/** The share service on Bun.serve: the embedded default. */
import { post_bytes_max } from "../intent/limit.ts"
import { createShareService, type ShareServer, type ShareServiceOptions } from "./service.ts"

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
  const server = startOrClose(service, () =>
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

function startOrClose<T>(service: ShareServer, start: () => T): T {
  try {
    return start()
  } catch (error) {
    service.close()
    throw error
  }
}
