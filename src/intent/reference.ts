/**
 * References: an argument, or the target of a call, may be the result of an earlier op or a property of it. It is
 * stored as `["$ref", op_id, path]` in the capnweb form (tags are arrays whose first element is a string; a literal
 * array is wrapped once more), and as `{"$ref": [op_id, ...path]}` in the json form.
 */
import type { Codec } from "./op.ts"
import { isUlid } from "./ulid.ts"

export interface Reference {
  op_id: string
  path: (string | number)[]
}

export type Node = null | boolean | number | string | Node[] | { [key: string]: Node }

function asReference(node: Node, codec: Codec, declared: readonly string[]): Reference | undefined {
  if (node === null || typeof node !== "object") return
  if (codec === "capnweb") {
    if (!Array.isArray(node) || node[0] !== "$ref" || node.length !== 3 || !Array.isArray(node[2])) return
    return isUlid(node[1]) && node[2].every(isStep)
      ? { op_id: node[1], path: node[2] as (string | number)[] }
      : undefined
  }
  if (Array.isArray(node) || Object.keys(node).length !== 1 || !Array.isArray(node.$ref)) return
  const [op_id, ...path] = node.$ref
  // In plain JSON a user's own object may look like this: only a declared op makes it a reference.
  return typeof op_id === "string" && declared.includes(op_id) && path.every(isStep) ? { op_id, path } : undefined
}

function isStep(step: Node): step is string | number {
  return typeof step === "string" || (typeof step === "number" && Number.isSafeInteger(step) && step >= 0)
}

/** Replaces every reference in parsed args by what `resolve` returns for it, in place of the node. Throws what it throws. */
export function replaceReferences(
  node: Node,
  codec: Codec,
  declared: readonly string[],
  resolve: (reference: Reference) => Node,
): Node {
  const reference = asReference(node, codec, declared)
  if (reference) return resolve(reference)
  if (node === null || typeof node !== "object") return node
  const each = (child: Node) => replaceReferences(child, codec, declared, resolve)
  if (!Array.isArray(node)) return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, each(child)]))
  if (codec === "json") return node.map(each)
  const literal = literalArray(node)
  // A tagged value (date, bytes, error, …) holds no reference: the recorder refuses one there.
  return literal ? [literal.map(each)] : node
}

/** The elements of a literal array in capnweb's form, `[[…]]`. */
function literalArray(node: Node[]): Node[] | undefined {
  const inner = node[0]
  return node.length === 1 && Array.isArray(inner) ? inner : undefined
}

/** Walks into a result in capnweb's form. Undefined when the path is not there: never a silent `undefined` value. */
export function walkPath(result: Node, path: readonly (string | number)[]): Node | undefined {
  let node: Node | undefined = result
  for (const step of path) {
    if (node === null || typeof node !== "object") return undefined
    if (Array.isArray(node)) {
      const index: number = typeof step === "number" ? step : /^\d+$/.test(step) ? Number(step) : -1
      node = literalArray(node)?.[index]
    } else {
      node = Object.hasOwn(node, String(step)) ? node[String(step)] : undefined
    }
    if (node === undefined) return undefined
  }
  return node
}
