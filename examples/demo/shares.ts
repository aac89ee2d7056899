/** Shares for the in-memory queue, made before anything fails: whether they exist is not the question here. */
import { newHttpBatchRpcSession } from "capnweb"
import type { ShareService } from "../../src/index.ts"

export type Shares = Record<string, { share_id: string; secret: string }>

export async function createShares(service: string, session_ids: string[]): Promise<Shares> {
  const shares: Shares = {}
  for (const session_id of session_ids) {
    const share = { share_id: randomId(16), secret: randomId(32) }
    using api = newHttpBatchRpcSession<ShareService>(`${service}/rpc/share`)
    await api.createShare({ ...share, session_id })
    shares[session_id] = share
  }
  return shares
}

function randomId(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("base64url")
}
