/** What the service of a simulated world does with ops: methods whose effects can be counted, and that fail as told. */
import { type Handler, Rejection } from "../../service/index.ts"
import type { Methods } from "../../service/handler.ts"

/** A bug of the app: the whole batch is rolled back, and the client is told `internal`. */
export class AppBug extends Error {}

export class App {
  /** From now on `poison` does what `put` does. */
  mended = false
  /** So many calls more meet a bug. */
  bugs = 0
  /** Newest version of the args of `edit` that this app knows. */
  version = 1

  get methods(): Methods {
    return {
      put: (...call) => this.#put(...call),
      poison: (...call) => this.#poison(...call),
      edit: {
        version: this.version,
        upcasts: this.version === 1 ? {} : { 1: ([name]) => [{ name }] },
        handle: (context, args) => this.#put(context, this.version === 1 ? args : (args as { name: unknown }).name),
      },
    }
  }

  /** `about`: the result of another op. */
  readonly #put: Handler = ({ sql, op_id, share }, name, about) => {
    if (this.bugs > 0) {
      this.bugs -= 1
      throw new AppBug("a bug of the app")
    }
    const of = (about as { name?: unknown } | undefined)?.name
    sql.run(
      `INSERT INTO effect (share, op_id, name, about) VALUES (?, ?, ?, ?)`,
      share,
      op_id,
      String(name),
      of === undefined ? null : String(of),
    )
    return { name }
  }

  /** Rejects after it has written: of a rejected op nothing stays. */
  #poison(...call: Parameters<Handler>): unknown {
    const result = this.#put(...call)
    if (this.mended) return result
    throw new Rejection("poison", "rejected for good")
  }
}
