import { describe, expect, test } from "bun:test"
import { encodeArgs, decodeArgs } from "../../src/intent/codec.ts"
import { type Node, type Reference, replaceReferences, walkPath } from "../../src/intent/reference.ts"

const op_id = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
const foreign_id = "01ARZ3NDEKTSV4RRFFQ69G5FAW"

function found(node: Node, codec: "capnweb" | "json"): Reference[] {
  const references: Reference[] = []
  replaceReferences(node, codec, [op_id], (reference) => {
    references.push(reference)
    return null
  })
  return references
}

describe("replaceReferences in the capnweb form", () => {
  test("replaces a reference at any depth by what resolve returns", () => {
    const node: Node = [[{ a: ["$ref", op_id, ["id"]] }, [[["$ref", op_id, [0, "x"]]]]]]
    expect(replaceReferences(node, "capnweb", [], (reference) => reference.path.join("."))).toEqual([
      [{ a: "id" }, [["0.x"]]],
    ])
  })

  test("also replaces one that is not declared: the caller refuses it", () => {
    expect(found(["$ref", foreign_id, []], "capnweb")).toEqual([{ op_id: foreign_id, path: [] }])
  })

  test("leaves a user's own array of that form alone, because literal arrays are wrapped", () => {
    const own = ["$ref", op_id, []]
    const node = JSON.parse(encodeArgs([own]).text) as Node
    const replaced = replaceReferences(node, "capnweb", [op_id], () => "hit")
    expect(decodeArgs(JSON.stringify(replaced))).toEqual([own])
  })

  test("looks into no tagged value", () => {
    expect(found(["error", "Error", "x", null, { a: ["$ref", op_id, []] }], "capnweb")).toEqual([])
  })

  for (const [name, node] of Object.entries({
    "an id that is no ULID": ["$ref", "nope", []],
    "a lower-case id": ["$ref", op_id.toLowerCase(), []],
    "no path": ["$ref", op_id],
    "a fourth element": ["$ref", op_id, [], 1],
    "a negative step": ["$ref", op_id, [-1]],
    "a fractional step": ["$ref", op_id, [0.5]],
    "a step that is an object": ["$ref", op_id, [{}]],
  }) as [string, Node][])
    test(`takes none with ${name}`, () => {
      expect(found(node, "capnweb")).toEqual([])
    })
})

describe("replaceReferences in the json form", () => {
  test("replaces a declared reference at any depth", () => {
    expect(replaceReferences([{ a: { $ref: [op_id, "b", 1] } }], "json", [op_id], ({ path }) => path)).toEqual([
      { a: ["b", 1] },
    ])
  })

  for (const [name, node] of Object.entries({
    "an undeclared op": { $ref: [foreign_id] },
    "a second key": { $ref: [op_id], also: 1 },
    "no list": { $ref: op_id },
    "an empty list": { $ref: [] },
    "the array form": ["$ref", op_id, []],
    "a step that is null": { $ref: [op_id, null] },
  }) as [string, Node][])
    test(`takes none with ${name}`, () => {
      expect(found(node, "json")).toEqual([])
    })
})

describe("walkPath", () => {
  const result = JSON.parse('{"id":"n1","tags":[["a","b"]],"when":["date",5],"own":{"__proto__":7},"nil":null}') as Node

  for (const [path, value] of [
    [[], result],
    [["id"], "n1"],
    [["tags", 1], "b"],
    [["tags", "0"], "a"],
    [["nil"], null],
    [["own", "__proto__"], 7],
  ] as [(string | number)[], Node][])
    test(`finds ${JSON.stringify(path)}`, () => {
      expect(walkPath(result, path)).toEqual(value)
    })

  for (const path of [
    ["missing"],
    ["tags", 2],
    ["tags", -1],
    ["tags", "length"],
    ["when", 1],
    ["id", 0],
    ["nil", "x"],
    ["toString"],
    ["own", "constructor"],
  ])
    test(`says that ${JSON.stringify(path)} is not there`, () => {
      expect(walkPath(result, path)).toBeUndefined()
    })
})
