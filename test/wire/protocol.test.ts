/** Which of several wire protocols a service is spoken to in: chosen by code, remembered, forgotten by a person. */
import { describe, expect, test } from "bun:test"
import { rpc, type Post, type Protocol } from "../../src/index.ts"
import { errorOf } from "../sturdy-error.ts"
import { fail, openBox, record, status, type Box, type Fate } from "../flusher/box.ts"

/** A host's own protocol: grants everything, applies everything; `asked` holds the POSTs that it was given. */
function granting(name: string, asked: Post[]): Protocol {
  return {
    name,
    async send(post) {
      asked.push(post)
      const limits = { batch_ops_max: 100, batch_bytes_max: 2 ** 20, op_bytes_max: 2 ** 20 }
      const { share_id } = post.redeem
      const grant = { share_id, service_id: "granting", epoch: 1, scopes: [], cursor: 0, head_op_id: null, limits }
      const acks = post.batches.map(({ batch_id, ops, expected_cursor }) => ({
        batch_id,
        cursor: expected_cursor + ops.length,
        head_op_id: ops.at(-1)!.op_id,
        epoch: 1,
        applied: ops.map(({ op_id }) => op_id),
        duplicates: [],
        rejected: [],
      }))
      return {
        created: undefined,
        grant: { kind: "value", value: grant },
        appended: acks.map((value) => ({ kind: "value", value })),
        removed: post.remove ? { kind: "value", value: { removed: true } } : undefined,
      }
    },
  }
}

async function openBoth() {
  const box = await openBox()
  const asked: Post[] = []
  const other = granting("other", asked)
  return {
    box,
    asked,
    other,
    open: () => box.open({ protocols: [rpc, other] }),
    [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
  }
}

const html: Fate = async () => ({ status: 200, retry_after: null, content_type: "text/html", body: "<html>" })

async function flushed(box: Box, outbox: ReturnType<Box["open"]>) {
  const report = await box.run(outbox.flush())
  return report.settled ? "settled" : report.blocked.map(({ reason }) => reason).join(" ")
}

describe("a service that has not answered yet", () => {
  test.each([404, 405, 415, 501])("answers HTTP %d: the next protocol is spoken in the same attempt", async (code) => {
    await using it = await openBoth()
    it.box.always(status(code))
    const outbox = it.open()
    const stream = it.box.stream(outbox)
    record(stream, "1")
    expect(await flushed(it.box, outbox)).toBe("settled")
    expect([it.box.sent.length, it.asked.length, stream.status().posts]).toEqual([1, 1, 1])
    expect(stream.status().protocol).toBe("other")
  })

  test.each([
    ["401", status(401), "scope_denied"],
    ["403", status(403), "scope_denied"],
    ["407", status(407), "scope_denied"],
    ["a redirect", status(302), "unsupported"],
    ["another 4xx of an address", status(410), "unsupported"],
    ["a captive portal", html, "unsupported"],
  ])("answers %s: blocked, and no other protocol is tried", async (_, fate, reason) => {
    await using it = await openBoth()
    it.box.always(fate)
    const outbox = it.open()
    const stream = it.box.stream(outbox)
    record(stream, "1")
    expect(await flushed(it.box, outbox)).toBe(reason)
    expect([it.asked, stream.status().protocol]).toEqual([[], undefined])
  })

  test.each([
    ["is down", fail("refused")],
    ["loses the answer", fail("connection_lost")],
    ["is silent", fail("deadline")],
    ["answers 500", status(500)],
    ["answers 503", status(503)],
    ["answers 429", status(429)],
  ])("%s: tried again later by the same protocol, and nothing is decided", async (_, fate) => {
    await using it = await openBoth()
    // More than there can be attempts within the time that passes: their pauses are drawn.
    it.box.fates.push(...Array.from({ length: 100 }, () => fate))
    const outbox = it.open()
    const stream = it.box.stream(outbox)
    record(stream, "1")
    await it.box.turn(100)
    expect([it.box.sent.length > 0, it.asked, stream.status().protocol]).toEqual([true, [], undefined])
    it.box.fates.length = 0
    expect(await flushed(it.box, outbox)).toBe("settled")
    expect([it.asked, stream.status().protocol, it.box.effects]).toEqual([[], "rpc", ["1"]])
  })

  test("is spoken to in the protocol that its stream is to begin with, and no other is asked first", async () => {
    await using it = await openBoth()
    const outbox = it.open()
    const stream = outbox.stream("s", it.box.freshRef(), { protocol: "other" })
    record(stream, "1")
    expect(await flushed(it.box, outbox)).toBe("settled")
    expect([it.box.sent.length, it.asked.length]).toEqual([0, 1])
  })

  test("refuses with a code: it is spoken, whatever the refusal", async () => {
    await using it = await openBoth()
    const outbox = it.open()
    const stream = outbox.stream("s", it.box.freshRef())
    record(stream, "1")
    expect(await flushed(it.box, outbox)).toBe("share_unknown")
    expect([it.asked, stream.status().protocol]).toEqual([[], "rpc"])
  })

  test("speaks none of them: blocked, saying what was tried, and every probe tries all again", async () => {
    await using it = await openBoth()
    it.box.fates.push(status(404))
    const outbox = it.box.open({ protocols: [rpc, unspoken("second", 405), unspoken("third", 501)] })
    const stream = it.box.stream(outbox)
    record(stream, "1")
    expect(await flushed(it.box, outbox)).toBe("unsupported")
    expect(stream.status().block?.message).toBe(
      "HTTP 404 to rpc, HTTP 405 to second, HTTP 501 to third: no share service answers here",
    )
    await it.box.turn(120_000, 1_000)
    expect([stream.status().block, stream.status().protocol, it.box.effects]).toEqual([undefined, "rpc", ["1"]])
  })

  test("meets a protocol of the host's that throws: a failed attempt, and the next one goes through", async () => {
    await using it = await openBoth()
    const thrown = [new Error("a bug of the host's")]
    const buggy: Protocol = {
      name: "buggy",
      send: (...args) => {
        const error = thrown.pop()
        if (error) throw error
        return it.other.send(...args)
      },
    }
    const outbox = it.box.open({ protocols: [buggy] })
    const faults: string[] = []
    outbox.on("failed", ({ message }) => faults.push(message))
    record(it.box.stream(outbox), "1")
    expect(await flushed(it.box, outbox)).toBe("settled")
    expect(faults).toEqual(["the protocol buggy failed"])
  })
})

/** Answers the POST as a whole by that status. */
function unspoken(name: string, code: number): Protocol {
  const transport = async () => ({ status: code, retry_after: null, content_type: null, body: "" })
  return { name, send: (post, context) => rpc.send(post, { ...context, transport }) }
}

test("who wants a key is not asked in another protocol", async () => {
  await using it = await openBoth()
  it.box.fates.push(status(401))
  const third: Post[] = []
  const outbox = it.box.open({ protocols: [unspoken("first", 404), rpc, granting("third", third)] })
  record(it.box.stream(outbox), "1")
  expect(await flushed(it.box, outbox)).toBe("scope_denied")
  expect(third).toEqual([])
})

describe("a protocol in which the service has answered", () => {
  async function decided() {
    const it = await openBoth()
    it.box.fates.push(status(404))
    const outbox = it.open()
    record(it.box.stream(outbox), "1")
    expect(await flushed(it.box, outbox)).toBe("settled")
    return { ...it, outbox }
  }

  test("is spoken from then on, by the next process too, and by new streams at the same service", async () => {
    await using it = await decided()
    await it.box.close(it.outbox)
    const outbox = it.open()
    record(it.box.stream(outbox), "2")
    record(outbox.stream("t", it.box.freshRef()), "3")
    const elsewhere = outbox.stream("u", it.box.freshRef("elsewhere.example"))
    expect(await flushed(it.box, outbox)).toBe("settled")
    expect([it.box.sent.length, it.asked.length]).toEqual([1, 3])
    expect(elsewhere.status().protocol).toBeUndefined()
  })

  test("answers HTTP 404: blocked as at any address, and no other is tried", async () => {
    await using box = await openBox()
    const asked: Post[] = []
    const outbox = box.open({ protocols: [rpc, granting("other", asked)] })
    const stream = box.stream(outbox)
    record(stream, "1")
    expect(await flushed(box, outbox)).toBe("settled")
    box.fates.push(status(404))
    record(stream, "2")
    expect(await flushed(box, outbox)).toBe("unsupported")
    expect([asked, stream.status().protocol]).toEqual([[], "rpc"])
  })

  test("is found anew by an outbox that does not have it", async () => {
    await using it = await decided()
    await it.box.close(it.outbox)
    const outbox = it.box.open({ protocols: [rpc] })
    record(it.box.stream(outbox), "2")
    // The service of rpc is another one, which is not accepted silently.
    expect(await flushed(it.box, outbox)).toBe("other_server")
    expect([it.asked.length, it.box.stream(outbox).status().protocol]).toEqual([1, "rpc"])
  })

  test.each([
    ["unblock({ acceptServer: true })", { acceptServer: true }],
    ["unblock with another service", { service: "http://moved.example/rpc/share", acceptServer: true }],
  ])("is forgotten by %s, with what that service made", async (_, change) => {
    await using it = await decided()
    const ref = it.box.freshRef()
    const remote = { id: "shr1", secret: "secret_of_the_remote" }
    const adopted = it.outbox.stream("t", ref, {
      adopt: { protocol: "other", remote, url: "http://share.example/s/1" },
    })
    expect(it.box.row("t")).toMatchObject({ protocol: "other", remote_id: "shr1", remote_secret: remote.secret })
    adopted.unblock(change)
    expect(it.box.row("t")).toMatchObject({ protocol: null, remote_id: null, remote_secret: null })
    expect(adopted.status().protocol).toBeUndefined()
  })
})

describe("a stream of a share that somebody else created", () => {
  const adopt = { remote: { id: "shr1", secret: "secret_of_the_remote" }, url: "http://share.example/s/1" }

  test("carries its id and secret to the protocol, and its url to the host", async () => {
    await using it = await openBoth()
    const outbox = it.box.open({ protocols: [it.other] })
    const stream = outbox.stream("s", it.box.ref, { adopt: { ...adopt, protocol: "other" } })
    expect(stream.status()).toMatchObject({ url: adopt.url, protocol: "other" })
    record(stream, "1")
    expect(await flushed(it.box, outbox)).toBe("settled")
    expect(it.asked[0]).toMatchObject({ remote: adopt.remote, protocol: "other", first: true })
  })

  test("without a protocol: it is found out; adopted a second time nothing changes", async () => {
    await using it = await openBoth()
    it.box.fates.push(status(404))
    const outbox = it.open()
    const stream = outbox.stream("s", it.box.ref, { adopt })
    expect(stream.status().protocol).toBeUndefined()
    record(stream, "1")
    expect(await flushed(it.box, outbox)).toBe("settled")
    outbox.stream("s", it.box.ref, { adopt: { ...adopt, protocol: "rpc", url: "http://elsewhere.example" } })
    expect(stream.status()).toMatchObject({ url: adopt.url, protocol: "other" })
  })

  test.each([
    ["no object", 5, "adopt must be"],
    ["an unknown field", { ...adopt, secret: "s3cr3t" }, "adopt has no field secret"],
    ["no remote", { url: adopt.url }, "adopt.remote must be"],
    ["a remote without a secret", { ...adopt, remote: { id: "shr1" } }, "adopt.remote.secret must be"],
    ["an url that is empty", { ...adopt, url: "" }, "adopt.url must be"],
    ["a protocol that is no name", { ...adopt, protocol: 5 }, "adopt.protocol must be"],
  ])("is refused with %s, and nothing is written", async (_, wrong, says) => {
    await using it = await openBoth()
    const outbox = it.open()
    const error = errorOf(() => outbox.stream("s", it.box.ref, { adopt: wrong as never }))
    expect([error.code, error.message.includes(says), error.message.includes("s3cr3t")]).toEqual([
      "invalid_argument",
      true,
      false,
    ])
    expect(outbox.streams()).toEqual([])
  })
})
