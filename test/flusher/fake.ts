/** A server of a test's own: answers as it is told, grants everything. */
import { RpcTarget } from "capnweb"

export class Fake extends RpcTarget {
  constructor(readonly told: { refuse?: unknown[]; service_id?: string; grant?: object; throws?: () => unknown }) {
    super()
  }

  redeemShare(input: { share_id: string }) {
    if (this.told.throws) throw this.told.throws()
    return {
      share_id: input.share_id,
      service_id: this.told.service_id ?? "service_of_the_fake",
      epoch: 1,
      scopes: ["append"],
      cursor: 0,
      head_op_id: null,
      limits: { batch_ops_max: 100, batch_bytes_max: 8_388_608, op_bytes_max: 4_194_304 },
      share: new FakeShare(this.told.refuse ?? []),
      ...this.told.grant,
    }
  }
}

class FakeShare extends RpcTarget {
  #answers: unknown[]

  constructor(answers: unknown[]) {
    super()
    this.#answers = [...answers]
  }

  appendOps() {
    return this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0]
  }
}
