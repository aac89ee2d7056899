/** Args of an op as values: references are replaced by what they name, then the codec is decoded. */
import { deserialize } from "capnweb"
import { decodeArgs } from "../intent/codec.ts"
import { batch_bytes_max } from "../intent/limit.ts"
import type { WireOp } from "../intent/op.ts"
import { type Node, type Reference, replaceReferences, walkPath } from "../intent/reference.ts"
import { Rejection } from "./handler.ts"

export interface ResolvedArgs {
  values: unknown[]
  /** In the op's codec, references replaced. */
  text: string
}

/** Also when the `$` is written as an escape. */
const mayRefer = /"(?:\$|\\u0024)ref"/i

/**
 * @param resultOf capnweb `serialize()` text of the result of a declared dependency; throws `Rejection` if there is none
 * @throws Rejection `invalid_args`, `reference_undeclared`, `reference_missing`, and what `resultOf` throws.
 */
export function resolveArgs(op: WireOp, resultOf: (op_id: string) => string): ResolvedArgs {
  const text = mayRefer.test(op.args) ? withoutReferences(op, resultOf) : op.args
  return { values: invalidUnless(() => decode(op, text)), text }
}

function decode(op: WireOp, text: string): unknown[] {
  if (op.codec === "capnweb") return decodeArgs(text)
  const values: unknown = JSON.parse(text)
  if (!Array.isArray(values)) throw new TypeError("args are not an array")
  return values
}

function withoutReferences(op: WireOp, resultOf: (op_id: string) => string): string {
  const results = new Map<string, Node>()
  // One result referred to many times must not become gigabytes.
  let bytes = Buffer.byteLength(op.args)
  const resolve = (reference: Reference): Node => {
    if (!op.depends_on.includes(reference.op_id))
      throw new Rejection("reference_undeclared", `refers to ${reference.op_id}, which is not in depends_on`)
    const result = results.get(reference.op_id) ?? (JSON.parse(resultOf(reference.op_id)) as Node)
    results.set(reference.op_id, result)
    const found = walkPath(result, reference.path)
    if (found === undefined)
      throw new Rejection("reference_missing", `the result of ${reference.op_id} has no ${reference.path.join(".")}`)
    const node = op.codec === "json" ? plainJson(found) : found
    bytes += Buffer.byteLength(JSON.stringify(node))
    if (bytes > batch_bytes_max) throw new Rejection("invalid_args", "the args are too large with their references")
    return node
  }
  return invalidUnless(() =>
    JSON.stringify(replaceReferences(JSON.parse(op.args) as Node, op.codec, op.depends_on, resolve)),
  )
}

/** From capnweb's form to plain JSON, for an op of the json codec. */
function plainJson(node: Node): Node {
  const text: string | undefined = JSON.stringify(deserialize(JSON.stringify(node)))
  return text === undefined ? null : (JSON.parse(text) as Node)
}

/** A text that cannot be decoded is the client's fault: the op is rejected, whatever was thrown (stack overflow too). */
function invalidUnless<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (error instanceof Rejection) throw error
    throw new Rejection("invalid_args", "the args cannot be decoded")
  }
}
