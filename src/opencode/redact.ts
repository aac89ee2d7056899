/**
 * What of an op leaves this machine: plain JSON, without what no reader of a share should have, as the host's own hook
 * leaves it, and not larger than an op may be. The same in, the same out: a catch-up compares by content.
 */
import { resolve } from "node:path"
import { SturdyError } from "../intent/error.ts"
import { isThenable } from "../intent/thenable.ts"
import { isRecord } from "./event.ts"
import { type Rules, rulesOf } from "./share-rules.ts"
import { bounded, fitted, type Size } from "./fit.ts"

/** An op on its way into the outbox, as the host's hook sees it. */
export interface SharedOp {
  session_id: string
  /** `message.put`, `part.put`, … */
  method: string
  value: Record<string, unknown>
}

/**
 * Returns what is shared of the value, or undefined: nothing of it. Gets a copy, which it may change. Synchronous, and
 * the same for the same value. If it throws, nothing of the op is shared.
 */
export type Redact = (op: SharedOp) => Record<string, unknown> | undefined

/**
 * The hook of a module, by its path: absolute, or relative to the folder. Its default export; its text is its fingerprint.
 *
 * @throws SturdyError `invalid_argument`, also for what the module throws.
 */
export async function loadRedact(path: string, folder: string): Promise<{ redact: Redact; rules: Rules }> {
  const file = resolve(folder, path)
  const module: unknown = await import(file).catch((cause: unknown) => {
    const why = cause instanceof Error || isRecord(cause) ? String(cause.message) : String(cause)
    throw new SturdyError(
      "invalid_argument",
      `the module of the option redact, ${file}, cannot be loaded: ${why}`,
      "Run it by itself to see where: bun <file>.",
      { cause },
    )
  })
  const redact = (module as { default?: unknown }).default
  if (typeof redact === "function") return { redact: redact as Redact, rules: rulesOf(await Bun.file(file).text()) }
  throw new SturdyError(
    "invalid_argument",
    `the module of the option redact, ${file}, has no function as its default export`,
    "For example export default ({ value }) => value.",
  )
}

/** Methods that only say that something is over, or how a turn stands: nothing in them is private. */
const bare = new Set(["message.remove", "part.remove", "turn.put"])

/** The op's value as it is recorded; undefined if nothing of it is. Throws what the hook throws. */
export function shared(op: SharedOp, redact: Redact | undefined, size: Size): Record<string, unknown> | undefined {
  // opencode goes on changing its objects, and what it holds may be no plain JSON, e.g. undefined members.
  const plain = JSON.parse(JSON.stringify(bounded(op.value))) as Record<string, unknown>
  if (bare.has(op.method)) return plain
  const public_ = op.method === "model.put" ? withPublicModels(plain) : plain
  if (!redact) return fitted(public_, size)
  const value = redact({ ...op, value: structuredClone(public_) })
  if (value === undefined) return
  if (isThenable(value)) {
    // Nobody waits for it: a rejection that is nobody's would end the host's process.
    Promise.resolve(value).catch(() => {})
    throw misused("a promise: it must answer at once")
  }
  if (!isRecord(value)) throw misused("neither an object nor undefined")
  // Names are not content: what came without them could be neither found again nor removed.
  const names = Object.entries(public_).filter(([name]) => namesOf.has(name))
  return fitted(
    { ...(JSON.parse(JSON.stringify(value)) as Record<string, unknown>), ...Object.fromEntries(names) },
    size,
  )
}

const namesOf: ReadonlySet<string> = new Set(["id", "sessionID", "messageID", "provider_id"])

/** Its text is ours, and may be shown; that of what a hook throws may be what must not be seen. */
function misused(what: string): SturdyError {
  return new SturdyError("invalid_argument", `redact returned ${what}`, "See docs/opencode.md, Options.")
}

/** Options and headers of a model hold keys of its provider as the user configured them. */
function withPublicModels(value: Record<string, unknown>): Record<string, unknown> {
  const models = Array.isArray(value.models) ? value.models : []
  return { ...value, models: models.map(publicModel) }
}

function publicModel(model: unknown): unknown {
  if (!isRecord(model)) return model
  const { options: _options, headers: _headers, variants: _variants, ...rest } = model
  return rest
}
