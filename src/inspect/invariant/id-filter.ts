/**
 * Which op_ids were seen, in so many bytes whatever is in the file: a Bloom filter. What it calls new is new; what it calls
 * seen is looked up. Of a million ids it calls less than one wrongly seen.
 */
const bits_per_id = 128
const bits_min = 2 ** 10
/** 16 MiB. */
const bits_max = 2 ** 27
const probes = 4

export class IdFilter {
  readonly #words: Uint32Array
  readonly #mask: number
  #a = 0
  #b = 0

  constructor(ids: number) {
    const wanted = Math.max(bits_min, Math.min(bits_max, ids * bits_per_id))
    const bits = 2 ** Math.ceil(Math.log2(wanted))
    this.#words = new Uint32Array(bits / 32)
    this.#mask = bits - 1
  }

  has(id: Uint8Array, at = 0): boolean {
    this.#hash(id, at)
    for (let n = 0; n < probes; n++) {
      const bit = (this.#a + Math.imul(n, this.#b)) & this.#mask
      if (!(this.#words[bit >>> 5]! & (1 << (bit & 31)))) return false
    }
    return true
  }

  /** The 16 bytes from `at` on. */
  add(id: Uint8Array, at = 0): void {
    this.#hash(id, at)
    for (let n = 0; n < probes; n++) {
      const bit = (this.#a + Math.imul(n, this.#b)) & this.#mask
      this.#words[bit >>> 5]! |= 1 << (bit & 31)
    }
  }

  /** Of all bytes: ids of one millisecond follow one another. */
  #hash(id: Uint8Array, at: number): void {
    let a = 0x9e3779b9
    let b = 0x85ebca6b
    for (let n = 0; n < 16; n++) {
      a = Math.imul(a ^ id[at + n]!, 0x01000193)
      b = Math.imul(b + id[at + n]!, 0xc2b2ae35) ^ (b >>> 15)
    }
    this.#a = Math.imul(a ^ (a >>> 16), 0x45d9f3b)
    this.#b = (b ^ (b >>> 13)) | 1
  }
}
