/** A share service on a free port, and a client that speaks plain HTTP/JSON to it. */
import { newHttpBatchRpcSession, type RpcStub } from "capnweb"
import type { WireOp } from "../../src/intent/op.ts"
import { type ServeOptions, serveShareService } from "../../src/service/bun.ts"
import type { ServiceEvent } from "../../src/service/core.ts"
import type { Ack, AppendBatch, Refusal, ShareService } from "../../src/wire/contract.ts"
import { freshId, nextId, op, tempDir } from "./box.ts"

export interface Said {
  status: number
  /** Of the error, if it is one. */
  code: string | undefined
  body: Record<string, unknown>
  text: string
  headers: Headers
}

export async function serveRest(options: Partial<ServeOptions> = {}) {
  const dir = tempDir()
  const events: ServiceEvent[] = []
  const service = serveShareService({ file: dir.file, observe: (event) => events.push(event), ...options })
  const ref = { share_id: freshId(128), secret: freshId() }

  async function ask(verb: string, path: string, init: Omit<RequestInit, "method"> = {}): Promise<Said> {
    const response = await fetch(service.url + path, { ...init, method: verb })
    const text = await response.text()
    const type = response.headers.get("content-type") ?? ""
    const body = text && type.startsWith("application/json") ? (JSON.parse(text) as Record<string, unknown>) : {}
    const { code } = (body.error ?? {}) as { code?: string }
    return { status: response.status, code, body, text, headers: response.headers }
  }
  const json = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value))
  const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` })

  return {
    file: dir.file,
    service,
    events,
    ref,
    ask,
    bearer,
    post: (path: string, value: unknown, headers: Record<string, string> = {}) =>
      ask("POST", path, { body: json(value), headers }),
    create: () => ask("POST", "/api/share", { body: json({ ...ref, session_id: "ses_1" }) }),
    grant: (writer_id: string, { share_id, secret } = ref) =>
      ask("GET", `/api/share/${share_id}/grant?writer_id=${writer_id}`, { headers: bearer(secret) }),
    ops: (batch: unknown, { share_id, secret } = ref, headers: Record<string, string> = {}) =>
      ask("POST", `/api/share/${share_id}/ops`, { body: json(batch), headers: { ...bearer(secret), ...headers } }),
    remove: ({ share_id, secret } = ref, headers: Record<string, string> = {}) =>
      ask("DELETE", `/api/share/${share_id}`, { headers: { ...bearer(secret), ...headers } }),
    data: (share_id = ref.share_id) => ask("GET", `/api/share/${share_id}/data`),
    rpc: (): RpcStub<ShareService> => newHttpBatchRpcSession<ShareService>(`${service.url}/rpc/share`),
    rows: (table: string) => service.sql.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)!.n,
    async [Symbol.asyncDispose]() {
      await service.stop()
      await dir[Symbol.asyncDispose]()
    },
  }
}

export type RestBox = Awaited<ReturnType<typeof serveRest>>

export function batchOf(
  writer_id: string,
  cursor = 0,
  head: string | null = null,
  ops: WireOp[] = [op("message.put", [{ id: "msg_1" }])],
): AppendBatch {
  return {
    writer_id,
    batch_id: nextId(),
    expected_cursor: cursor,
    expected_head_op_id: head,
    settled_op_id: null,
    ops,
  }
}

/** One batch over Cap'n Web, in a POST of its own. */
export async function overRpc(box: RestBox, batch: AppendBatch, ref = box.ref): Promise<Ack | Refusal> {
  const api = box.rpc()
  return await api.redeemShare({ ...ref, writer_id: batch.writer_id }).share.appendOps(batch)
}

/** A call on the live share over Cap'n Web, in a POST of its own. */
export async function live<T>(box: RestBox, secret: string, call: (share: RemoteShare) => PromiseLike<T>): Promise<T> {
  const api = box.rpc()
  return await call(api.redeemShare({ ...box.ref, secret, writer_id: freshId(128) }).share)
}

type RemoteShare = ReturnType<RpcStub<ShareService>["redeemShare"]>["share"]
