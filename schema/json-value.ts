/** What strict JSON can say: numbers are integers within ±(2^53-1). The raw tree over which signatures are checked. */
export type JsonValue = null | boolean | number | string | JsonArray | JsonObject
export type JsonArray = readonly JsonValue[]
export interface JsonObject {
  readonly [name: string]: JsonValue
}
