/** Which handler decides an op, and how args of an older version become those that it takes. */
import type { WireOp } from "../intent/op.ts"
import {
  type Handler,
  type Methods,
  Rejection,
  type Upcast,
  type UpcastContext,
  type VersionedMethod,
} from "./handler.ts"

export interface MethodForOp {
  handle: Handler
  lift: (args: unknown[], context: UpcastContext) => unknown[]
}

/** @throws Rejection `unknown_method`, `unknown_version` */
export function methodFor(methods: Methods, op: WireOp): MethodForOp {
  const method = Object.hasOwn(methods, op.method) ? methods[op.method] : undefined
  if (!method) throw new Rejection("unknown_method", `no method ${op.method}`)
  if (typeof method === "function") return { handle: method, lift: (args) => args }
  const { version, handle } = method
  const lowest = lowestVersion(method)
  if (op.schema_version < lowest || op.schema_version > version) {
    const taken = lowest === version ? `version ${version}` : `versions ${lowest} to ${version}`
    throw new Rejection(
      "unknown_version",
      `the op is of version ${op.schema_version}; ${op.method} takes ${taken} here`,
    )
  }
  return { handle, lift: (args, context) => lift(method, op, args, context) }
}

function lift({ version, upcasts }: VersionedMethod, op: WireOp, args: unknown[], context: UpcastContext): unknown[] {
  let lifted = args
  for (let from = op.schema_version; from < version; from++) {
    lifted = upcasts![from]!(lifted, context)
    // A promise too: what it resolves to would come after the commit.
    if (!Array.isArray(lifted)) throw new TypeError(`the upcast of ${op.method} from version ${from} returned no array`)
  }
  return lifted
}

/** The upcasts are without gaps: `checkMethods` has seen to that. */
function lowestVersion({ version, upcasts }: VersionedMethod): number {
  return version - Object.keys(upcasts ?? {}).length
}

/** @throws TypeError which method is wrong, and how */
export function checkMethods(methods: Methods): void {
  if (typeof methods !== "object" || methods === null || Array.isArray(methods))
    throw new TypeError("methods must be an object of handlers, by the name of each")
  for (const [name, method] of Object.entries(methods)) {
    const wrong = typeof method === "function" ? undefined : tableFault(method)
    if (wrong) throw new TypeError(`method ${name}: ${wrong}`)
  }
}

/** What is not a table of versions comes from a caller without types. */
function tableFault(method: VersionedMethod | null | undefined): string | undefined {
  if (typeof method !== "object" || method === null) return "it is neither a handler nor { version, upcasts, handle }"
  const { version, upcasts = {}, handle } = method
  if (typeof handle !== "function") return "handle is no function"
  if (!Number.isSafeInteger(version) || version < 1) return `version must be a positive integer, got ${String(version)}`
  if (typeof upcasts !== "object" || upcasts === null || Array.isArray(upcasts))
    return "upcasts must be an object, by the version that each takes"
  return upcastsFault(version, upcasts)
}

function upcastsFault(version: number, upcasts: Readonly<Record<number, Upcast>>): string | undefined {
  const entries = Object.entries(upcasts)
  for (const [from, upcast] of entries) {
    if (!/^\d{1,15}$/.test(from) || Number(from) >= version)
      return `upcasts.${from}: an upcast begins at a version before ${version}`
    if (typeof upcast !== "function") return `upcasts.${from} is no function`
  }
  for (let from = version - entries.length; from < version; from++)
    if (!Object.hasOwn(upcasts, from)) return `there is no upcast from version ${from}, so those before it lead nowhere`
  return
}
