/** Dead letters in the store: derived ids, limits, what is kept how long, what a server_reset leaves of them. */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import * as limit from "../../src/intent/limit.ts"
import { SturdyError } from "../../src/intent/error.ts"
import { isUlid } from "../../src/intent/ulid.ts"
import { DeadGraph, type DeadNode } from "../../src/store/dead-graph.ts"
import { DeadLetters, derivedOpId } from "../../src/store/dead-letter.ts"
import { idBlob } from "../../src/store/id-blob.ts"
import { errorOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { type Op, openStore, ref, type StoreOptions } from "./box.ts"

async function openGrave(options: StoreOptions = {}) {
  const dir = tempDir()
  const store = openStore(dir.file(), options)
  const letters = new DeadLetters(store.recorder, store.streams, store.knowledge)
  const { stream_id } = store
  return {
    store,
    retry: (op_id: string) => letters.retry(stream_id, op_id).retried,
    discard: (op_id: string) => letters.discard(stream_id, op_id),
    undecided: () => letters.page(stream_id, {}).map(({ op_id }) => op_id),
    /** Records the ops and has all of them rejected. */
    bury(...ops: Op[]): string[] {
      const op_ids = store.record(...ops)
      store.settle(Object.fromEntries(op_ids.map((op_id) => [op_id, "not_yet"])))
      return op_ids
    },
    /** All that was settled until now is pruned. */
    prune() {
      store.settle()
      for (let batch = 0; batch < 11; batch++) {
        store.record(...Array.from({ length: 100 }, () => ({})))
        store.settle()
      }
      store.clock.turn(limit.retained_ms + 1)
      store.settle({}, {}, [])
    },
    stateOf: (op_id: string) => store.knowledge.stateOf(store.stream(), op_id),
    /** The op that was recorded last. */
    last: () =>
      store.db
        .query<{ key: string | null; depends_on: string }, []>(
          "select key, hex(depends_on) as depends_on from sturdy_op order by seq desc limit 1",
        )
        .get()!,
    count: (table: string) => store.count(table),
    async [Symbol.asyncDispose]() {
      store.close()
      await dir[Symbol.asyncDispose]()
    },
  }
}

const none = { cursor: 0, head_op_id: null }

describe("the op_id of a retry", () => {
  test("follows from the dead letter and the count alone, and is a canonical ULID", () => {
    // Fixed for ever: a copy of the outbox may run an older Sturdy.
    expect(derivedOpId("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1)).toBe("4KB2Y9N21MH20RHAF4D99VKP29")
    expect(derivedOpId("01ARZ3NDEKTSV4RRFFQ69G5FAV", 2)).toBe("0ENVTYCVSJ6M2GXA6Z7226GFMR")
    fc.assert(fc.property(fc.string(), fc.nat(), (op_id, count) => isUlid(derivedOpId(op_id, count))))
  })

  test("counts on where this outbox has an op of that id already", async () => {
    await using t = await openGrave()
    const [first] = t.bury({})
    expect(t.retry(first!)).toEqual([{ op_id: first!, as_op_id: derivedOpId(first!, 1) }])
    t.store.settle()
    // The server forgot both, and applied the first one: what was decided about it has no meaning any more.
    t.store.settle({}, { reset: none }, [])
    t.store.settle()
    expect(t.stateOf(first!)).toMatchObject({ state: "applied" })
    // It forgot once more, and rejects it.
    t.store.settle({}, { reset: none }, [])
    t.store.settle({ [first!]: "not_yet" })
    expect(t.retry(first!)).toEqual([{ op_id: first!, as_op_id: derivedOpId(first!, 2) }])
  })

  test("counts on where the op of that id was replaced by a newer one", async () => {
    await using t = await openGrave()
    const [first] = t.bury({ key: "k" })
    t.retry(first!)
    t.store.record({ key: "k" })
    t.store.settle()
    for (const rejected of [{}, { [first!]: "not_yet" }]) {
      t.store.settle({}, { reset: none }, [])
      t.store.settle(rejected)
    }
    expect(t.retry(first!)).toEqual([{ op_id: first!, as_op_id: derivedOpId(first!, 2) }])
  })
})

describe("a retry that cannot be recorded leaves everything as it was:", () => {
  test("the op is larger than a grant allows by now", async () => {
    await using t = await openGrave()
    const [small] = t.bury({})
    const [large] = t.bury({ args: ["x".repeat(300_000)], depends_on: [small!] })
    t.store.settle({}, { patch: { op_bytes_max: 262_144 } }, [])
    const before = t.store.db.serialize()
    const error = errorOf(() => t.retry(small!))
    expect([error.code, error.message]).toEqual([
      "op_too_large",
      expect.stringMatching(new RegExp(`put, dead letter ${large}, has 30\\d{4} bytes, the limit is 262144`)),
    ])
    expect(Buffer.compare(t.store.db.serialize(), before)).toBe(0)
    t.discard(large!)
    expect(t.retry(small!).length).toBe(1)
  })

  test("the outbox is full", async () => {
    await using t = await openGrave({ outbox_bytes_max: 2_000_000 })
    const [large] = t.bury({ args: ["x".repeat(700_000)] })
    t.store.record({})
    const fill = () => {
      for (;;) t.store.record({ args: ["x".repeat(100_000)] })
    }
    expect(errorOf(fill).code).toBe("outbox_full")
    const before = t.store.db.serialize()
    expect(errorOf(() => t.retry(large!)).code).toBe("outbox_full")
    expect([Buffer.compare(t.store.db.serialize(), before), t.undecided()]).toEqual([0, [large!]])
  })

  test("the share is being removed", async () => {
    await using t = await openGrave()
    const [first] = t.bury({})
    t.store.streams.recordRemoval(t.store.stream_id)
    expect(errorOf(() => t.retry(first!)).code).toBe("stream_closed")
    expect([t.undecided(), t.store.pending()]).toEqual([[first!], 0])
  })

  test("it refers to the result of a retried op that a newer one replaced", async () => {
    await using t = await openGrave()
    const [first] = t.bury({ key: "k" })
    const [second] = t.store.record({ depends_on: [first!], references: [first!], method: "call", target: [first!] })
    t.retry(first!)
    t.store.record({ key: "k" })
    t.store.settle({ [second!]: "dependency_rejected" })
    expect(errorOf(() => t.retry(second!)).code).toBe("reference_superseded")
    expect(t.undecided()).toEqual([second!])
  })

  test("the host's transaction is rolled back", async () => {
    await using t = await openGrave()
    const [first] = t.bury({ key: "k" })
    const before = t.store.db.serialize()
    t.store.db.run("begin immediate")
    t.retry(first!)
    t.store.db.run("rollback")
    expect(Buffer.compare(t.store.db.serialize(), before)).toBe(0)
    expect(t.retry(first!).length).toBe(1)
  })
})

describe("what is recorded next under a key", () => {
  const put = (value: string): Op => ({ key: "message/1", only_if_changed: true, args: [value] })
  const part: Op = { depends_on_keys: ["message/1"] }

  test("depends on the retried op, and the same content again is that one", async () => {
    await using t = await openGrave()
    const [first] = t.bury(put("a"))
    const [retried] = t.retry(first!)
    expect(t.store.record(put("a"))).toEqual([retried!.as_op_id])
    t.store.record(part)
    expect(t.last().depends_on).toBe(hex(retried!.as_op_id))
  })

  test("is its first op once the first one was discarded", async () => {
    await using t = await openGrave()
    const [first] = t.bury(put("a"))
    t.discard(first!)
    t.store.record(part)
    expect(t.last().depends_on).toBe("")
    const [next] = t.store.record(put("a"))
    expect(next).not.toBe(first)
    t.store.record(part)
    expect(t.last().depends_on).toBe(hex(next!))
  })
})

test("nothing is written any more once the -wal cannot be copied back: record, a bookmark, retry, discard, a stream", async () => {
  await using t = await openGrave()
  const [dead] = t.bury({})
  const { connection, recorder, streams } = t.store
  connection.damage = new SturdyError("database_corrupt", "the file was cut", "Open it again.")
  const { commits } = connection
  const writes: Record<string, () => unknown> = {
    record: () => t.store.record({}),
    bookmark: () => recorder.recordBookmark({ source: "s", place: 1 }),
    retry: () => t.retry(dead!),
    discard: () => t.discard(dead!),
    stream: () => streams.open("another", { ...ref, share_id: "another" }, undefined),
    removal: () => streams.recordRemoval(t.store.stream_id),
  }
  for (const [name, write] of Object.entries(writes))
    expect([name, errorOf(write).code]).toEqual([name, "database_corrupt"])
  expect(connection.commits).toBe(commits)
})

describe("retention", () => {
  test("keeps an undecided dead letter for ever, a decided one as long as its op", async () => {
    await using t = await openGrave()
    const [waiting, retried, discarded] = t.bury({}, { key: "k" }, {})
    t.retry(retried!)
    t.discard(discarded!)
    t.store.settle()
    expect([t.count("sturdy_dead_letter"), t.stateOf(retried!)]).toMatchObject([
      3,
      { state: "dead", retried_op_id: derivedOpId(retried!, 1) },
    ])
    t.prune()
    expect([t.undecided(), t.count("sturdy_dead_letter"), t.stateOf(retried!), t.stateOf(discarded!)]).toEqual([
      [waiting!],
      1,
      undefined,
      undefined,
    ])
    expect(t.store.state(discarded!)).toEqual([])
  })

  test("lets one go with the decision if its op was pruned before", async () => {
    await using t = await openGrave()
    const [first, second] = t.bury({ key: "k", args: ["kept whole"] }, {})
    t.prune()
    t.discard(second!)
    expect(t.store.db.query("select seq from sturdy_dead_letter").all()).toHaveLength(1)
    const [retried] = t.retry(first!)
    expect([t.count("sturdy_dead_letter"), t.last().key, t.store.pending()]).toEqual([0, "k", 1])
    expect(t.stateOf(retried!.as_op_id)).toEqual({ state: "pending" })
    expect(errorOf(() => t.retry(first!)).message).toContain("is not known")
  })

  test("keeps a retried one as long as an undecided one finds by it what stands for its dependency", async () => {
    await using t = await openGrave()
    const [first] = t.bury({})
    const [second] = t.store.record({ depends_on: [first!] })
    const [again] = t.retry(first!)
    t.store.settle({ [second!]: "dependency_rejected", [again!.as_op_id]: "not_yet" })
    const [last] = t.retry(again!.as_op_id).filter(({ op_id }) => op_id === again!.as_op_id)
    // The dependent went along; rejected once more it hangs on the chain of all of them.
    t.store.settle()
    const [third] = t.store.record({ depends_on: [first!] })
    t.store.settle({ [third!]: "dependency_rejected" })
    t.prune()
    expect([t.undecided(), t.count("sturdy_dead_letter")]).toEqual([[third!], 3])
    t.retry(third!)
    expect([t.last().depends_on, t.count("sturdy_dead_letter")]).toEqual([hex(last!.as_op_id), 0])
  })

  test("of a full outbox lets decided ones go too, and no undecided one", async () => {
    await using t = await openGrave()
    const [first, second] = t.bury({}, {})
    t.discard(second!)
    t.store.connection.transact("record", () => t.store.settler.retention.makeRoom())
    expect([t.undecided(), t.count("sturdy_dead_letter"), t.count("sturdy_op")]).toEqual([[first!], 1, 0])
  })
})

describe("after a server_reset", () => {
  test("only undecided dead letters of retained ops are forgotten and counted, those of pruned ops stay", async () => {
    await using t = await openGrave()
    const [old, oldGiven] = t.bury({}, {})
    t.prune()
    const [waiting, given] = t.bury({}, {})
    t.discard(oldGiven!)
    t.discard(given!)
    t.store.settle({}, { reset: none }, [])
    expect([t.undecided(), t.store.stream().dead_count]).toEqual([[old!], 1])
    expect([waiting, given].map((op_id) => t.stateOf(op_id!))).toEqual([{ state: "pending" }, { state: "pending" }])
    while (t.store.pending() > 0) t.store.settle({ [waiting!]: "not_yet", [given!]: "other_reason" })
    expect([t.undecided(), t.store.stream().dead_count]).toEqual([[old!, waiting!], 2])
    expect(t.stateOf(given!)).toEqual({ state: "discarded", code: "other_reason" })
  })

  test("an op that an Ack then calls superseded is that, whatever was decided", async () => {
    await using t = await openGrave()
    const [first] = t.bury({})
    t.discard(first!)
    t.store.settle({}, { reset: none }, [])
    t.store.settle({ [first!]: "superseded" })
    expect([t.stateOf(first!), t.store.state(first!).length, t.count("sturdy_dead_letter")]).toMatchObject([
      { state: "superseded" },
      1,
      0,
    ])
  })
})

test("of any graph, what is retried together depends on nothing dead but what is in it before", () => {
  const graphs = fc.array(fc.record({ on: fc.array(fc.nat(11), { maxLength: 3 }), decision: fc.nat(5) }), {
    minLength: 1,
    maxLength: 12,
  })
  fc.assert(
    fc.property(graphs, (drawn) => {
      const nodes: DeadNode[] = drawn.map(({ on, decision }, index) => ({
        seq: index,
        op_id: `${index}`,
        depends_on: on.filter((other) => other !== index).map(String),
        decision: decision === 0 ? "discarded" : decision === 1 ? "retried" : undefined,
        retried_op_id: decision === 1 ? (index + 1 < drawn.length ? `${index + 1}` : "elsewhere") : undefined,
      }))
      const graph = new DeadGraph({
        letter: (op_id) => nodes.find((node) => node.op_id === op_id),
        retriedAs: (op_id) => nodes.filter((node) => node.retried_op_id === op_id).map((node) => node.op_id),
        hanging: () => nodes.filter((node) => !node.decision && node.depends_on.length > 0),
      })
      const dead = new Set(nodes.filter((node) => !node.retried_op_id).map((node) => node.op_id))
      for (const root of nodes.filter((node) => !node.decision)) {
        const before = new Set([root.op_id])
        for (const node of graph.retriedWith(root).slice(1)) {
          expect(node.decision).toBeUndefined()
          const on = node.depends_on.map((op_id) => graph.latest(op_id))
          expect(on.filter((op_id) => dead.has(op_id) && !before.has(op_id))).toEqual([])
          before.add(node.op_id)
        }
        const given = graph.discardedWith(root).map((node) => node.op_id)
        expect([...before].filter((op_id) => !given.includes(op_id))).toEqual([])
        const hanging = nodes.filter(
          (node) => !node.decision && node.depends_on.some((op_id) => given.includes(graph.latest(op_id))),
        )
        expect(hanging.filter((node) => !given.includes(node.op_id))).toEqual([])
      }
    }),
  )
})

function hex(op_id: string): string {
  return Buffer.from(idBlob(op_id)).toString("hex").toUpperCase()
}
