/**
 * A real outbox file, the real share service on a real file, and between them a transport in which a test decides the
 * fate of every POST. Time passes only when the test turns the clock.
 */
import { Database } from "bun:sqlite"
import { deserialize, newHttpBatchRpcResponse, type RpcTarget } from "capnweb"
import { SturdyError } from "../../src/intent/error.ts"
import { systemRandom } from "../../src/intent/system.ts"
import type { Random, Seams } from "../../src/intent/seam.ts"
import { randomId } from "../../src/intent/ulid.ts"
import type { OutboxOptions } from "../../src/options.ts"
import { openOutbox, type Outbox } from "../../src/outbox.ts"
import {
  createShareService,
  type Methods,
  Rejection,
  type ServiceEvent,
  type ShareServiceOptions,
} from "../../src/service/index.ts"
import { openCore } from "../../src/service/core.ts"
import { ShareServiceTarget } from "../../src/service/target.ts"
import type { StreamRow, SturdyRef } from "../../src/store/stream.ts"
import type { Stream } from "../../src/stream.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import type { Ack, AppendBatch, LiveShare, Refusal } from "../../src/wire/contract.ts"
import { TransportFault, type TransportRequest, type TransportResponse } from "../../src/wire/transport.ts"
import { tempDir } from "../temp-dir.ts"
import { ScopedDatabase } from "../scoped-database.ts"

/** What becomes of a POST. `deliver` takes it to the service; it may be called more than once, or never. */
export type Fate = (deliver: () => Promise<TransportResponse>, request: TransportRequest) => Promise<TransportResponse>

/** One POST as it left. */
export interface Sent {
  host: string
  /** When, on the clock's monotonic side, ms. */
  at: number
  /** Names of the calls, in order. */
  calls: string[]
  batches: AppendBatch[]
  headers: Record<string, string>
}

const methods: Methods = {
  put: ({ sql, op_id }, name) => {
    sql.run(`INSERT INTO effect (op_id, name) VALUES (?, ?)`, op_id, String(name))
    return { name, list: [{ id: `first of ${name}` }, { id: `second of ${name}` }] }
  },
  poison: () => {
    throw new Rejection("poison", "rejected for good")
  },
}

export interface BoxOptions {
  /** The outbox creates the share; else it is there. */
  creates?: boolean
  service?: Partial<ShareServiceOptions>
  random?: Random
}

export type Box = Awaited<ReturnType<typeof openBox>>

export async function openBox(options: BoxOptions = {}) {
  const dir = tempDir()
  const clock = new ManualClock()
  const seams: Seams = { clock, random: options.random ?? systemRandom, crashPoint: () => {} }
  const fates: Fate[] = []
  const sent: Sent[] = []
  const answers: (Ack | Refusal)[] = []
  const open = new Set<Outbox>()
  const handles: Database[] = []
  const faults: unknown[] = []
  let always: Fate | undefined
  let activity = 0

  const observe = (event: ServiceEvent) => {
    if (event.name === "failure") throw event.error
    if (event.name === "batch") answers.push(event.answer)
  }
  let service = start(dir.file("service.db"))
  function start(file: string) {
    const started = createShareService({ file, methods, observe, seams, ...options.service })
    started.sql.run(`CREATE TABLE IF NOT EXISTS effect (id INTEGER PRIMARY KEY, op_id TEXT, name TEXT) STRICT`)
    return started
  }

  const deliver = async (request: TransportRequest): Promise<TransportResponse> => {
    const response = await service.fetch(new Request(request.url, { method: "POST", body: request.body }))
    return responseOf(response)
  }
  const transport = (request: TransportRequest) => {
    sent.push(sentOf(request, clock.monotonic()))
    activity += 1
    const fate = fates.shift() ?? always ?? ((through: () => Promise<TransportResponse>) => through())
    const promise = fate(() => deliver(request), request)
    const done = () => {
      activity += 1
    }
    promise.then(done, done)
    return promise
  }

  const freshRef = (host = "share.example"): SturdyRef => ({
    service: `http://${host}/rpc/share`,
    share_id: randomId(systemRandom, 128),
    secret: randomId(systemRandom, 256),
  })
  const ref = freshRef()
  const box = {
    dir,
    clock,
    seams,
    fates,
    sent,
    /** What the service answered to each batch. */
    answers,
    ref,
    freshRef,
    get service() {
      return service
    },
    /** The fate of every POST that has none of its own. */
    always(fate: Fate | undefined) {
      always = fate
    },
    /**
     * Causes of the faults told since it was called last. What no test takes is thrown when the box is disposed of: a bug
     * must not hide behind an event that nobody hears.
     */
    takeFaults(): unknown[] {
      return faults.splice(0)
    },
    /** The same as codes of SturdyErrors, each once. */
    takeFaultCodes(): unknown[] {
      return [...new Set(faults.splice(0).map((fault) => (fault instanceof SturdyError ? fault.code : fault)))]
    },
    /** Another process on the outbox file, or the first. */
    open(more: OutboxOptions = {}, where: string | { database: Database } = dir.file()): Outbox {
      const outbox = openOutbox(where, { seams, transport, ...more })
      outbox.on("fault", ({ cause }) => faults.push(cause))
      open.add(outbox)
      return outbox
    },
    /** Another process while the first has the file open: an outbox of its own, by a handle of its own. */
    openBeside(more: OutboxOptions = {}): Outbox {
      const database = new Database(dir.file())
      handles.push(database)
      return box.open(more, { database })
    },
    stream(outbox: Outbox, name = "s", to = ref): Stream {
      return outbox.stream(name, to, options.creates ? { create: { session_id: "ses_1" } } : {})
    },
    /** The service as its owner calls it, without a network between. */
    get api(): ShareServiceTarget {
      return new ShareServiceTarget(openCore({ sql: service.sql, seams }), "http://share.example")
    },
    async createShare(to: SturdyRef) {
      box.api.createShare({ share_id: to.share_id, secret: to.secret, session_id: "ses_1" })
    },
    /** The secret of another capability of the share. */
    attenuate(input: Parameters<LiveShare["attenuate"]>[0]): string {
      return box.admin().attenuate(input).secret
    },
    admin(): LiveShare {
      const { share_id, secret } = ref
      return box.api.redeemShare({ share_id, secret, writer_id: "writer_of_the_owner" }).share
    },
    /** Names of the ops that had an effect, in order. */
    get effects(): string[] {
      return service.sql.all<{ name: string }>(`SELECT name FROM effect ORDER BY id`).map((row) => row.name)
    },
    /** Another service, with another history, answers from now on. */
    replaceService(file: string) {
      service.close()
      service = start(file)
    },
    row(name = "s", file = dir.file()): StreamRow {
      using db = new ScopedDatabase(file, { readonly: true })
      return db.query("select * from sturdy_stream where name = ?").get(name) as StreamRow
    },
    /** Words of the op_state view, by op_id. */
    state(op_id: string, file = dir.file()): string[] {
      using db = new ScopedDatabase(file, { readonly: true })
      return (db.query("select state from op_state where op_id = ?").all(op_id) as { state: string }[]).map(
        (row) => row.state,
      )
    },
    /** Lets everything happen that needs no time. */
    async calm() {
      for (let quiet = 0; quiet < 4; quiet++) {
        const before = activity
        clock.turn(0)
        await new Promise((resolve) => setImmediate(resolve))
        if (activity !== before) quiet = -1
      }
    },
    /** Lets time pass, and what falls due happen at its time. */
    async turn(ms: number, step_ms = 50) {
      await box.calm()
      for (let left = ms; left > 0; left -= step_ms) {
        clock.turn(Math.min(step_ms, left))
        await box.calm()
      }
    },
    /** Turns the clock until the promise has settled. */
    async run<T>(promise: Promise<T>, limit_ms = 600_000): Promise<T> {
      const state = { ended: false }
      const end = () => {
        state.ended = true
      }
      promise.then(end, end)
      await box.calm()
      for (let passed = 0; !state.ended; passed += 50) {
        if (passed > limit_ms) throw new Error(`not settled within ${limit_ms} ms`)
        clock.turn(50)
        await box.calm()
      }
      return promise
    },
    close(outbox: Outbox) {
      open.delete(outbox)
      return box.run(outbox.close({ flush_ms: 0 }))
    },
    async [Symbol.asyncDispose]() {
      for (const outbox of open) await box.close(outbox)
      for (const handle of handles) handle.close()
      service.close()
      await dir[Symbol.asyncDispose]()
      if (faults.length > 0)
        throw new Error(`${faults.length} faults were told that no test expects`, { cause: faults[0] })
    },
  }
  if (!options.creates) await box.createShare(ref)
  return box
}

export async function responseOf(response: Response): Promise<TransportResponse> {
  return {
    status: response.status,
    retry_after: response.headers.get("retry-after"),
    content_type: response.headers.get("content-type"),
    body: await response.text(),
  }
}

function sentOf({ url, body, headers }: TransportRequest, at: number): Sent {
  const calls: string[] = []
  const batches: AppendBatch[] = []
  for (const line of body.split("\n")) {
    const [kind, call] = JSON.parse(line) as [string, [string, number, string[], unknown[]]]
    if (kind !== "push" || !call[3]) continue
    const name = call[2].at(-1)!
    calls.push(name)
    if (name === "appendOps") batches.push(deserialize(JSON.stringify(call[3][0])) as AppendBatch)
  }
  return { host: new URL(url).host, at, calls, batches, headers }
}

/** Records ops, each a unit of its own. */
export function record(stream: Stream, names: string) {
  return names.split(" ").map((name) => stream.record({ method: "put", args: [name] }))
}

// Fates

export function fail(code: "refused" | "connection_lost" | "deadline", message: string = code): Fate {
  return async () => {
    throw new TransportFault(code, code === "refused" ? "not_sent" : "unknown", message)
  }
}

export const loseAnswer: Fate = async (deliver) => {
  await deliver()
  throw new TransportFault("connection_lost", "unknown", "the connection was lost")
}

export function status(code: number, retry_after: string | null = null): Fate {
  return async () => ({ status: code, retry_after, content_type: null, body: "" })
}

/** A gateway that takes no larger body, before the service. */
export function atMost(bytes: number): Fate {
  return async (deliver, request) =>
    Buffer.byteLength(request.body) > bytes
      ? { status: 413, retry_after: null, content_type: null, body: "" }
      : deliver()
}

/** A server of the test's own making answers. */
export function by(target: RpcTarget): Fate {
  return async (_, request) =>
    responseOf(await newHttpBatchRpcResponse(new Request(request.url, { method: "POST", body: request.body }), target))
}

/** Waits until the test lets it through; ends when the attempt is given up. */
export function hold() {
  const gate = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  const state = { aborted: false }
  const fate: Fate = async (deliver, { signal }) => {
    arrived.resolve()
    const gone = new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => {
        state.aborted = true
        reject(new TransportFault("aborted", "unknown", "given up"))
      }),
    )
    await Promise.race([gate.promise, gone])
    return deliver()
  }
  return { fate, release: () => gate.resolve(), arrived: arrived.promise, state }
}

/** Draws the same fraction always. */
export function fixedRandom(fraction: number): Random {
  return { fraction: () => fraction, bytes: (count) => systemRandom.bytes(count) }
}

/** Names of what happens to blocks, in order. */
export function heardBlocks(outbox: Outbox): string[] {
  const seen: string[] = []
  outbox.onAny((event) => {
    if (event.name === "blocked" || event.name === "unblocked") seen.push(`${event.name} ${event.reason}`)
  })
  return seen
}
