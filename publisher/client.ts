// The server's publishing API (`/api/v1/publish/*`). Nothing that it answers is trusted with more than progress: what counts is verified
// from the repository's own files (repository.ts).
import {
  type PublishAnswer,
  type PublishReleases,
  type PublishRoot,
  type PublishState,
  publishAnswerShape,
  publishStateShape,
  type UploadState,
  uploadStateShape,
} from '../schema/rest.ts'
import { ask, type ClientDeps, json } from './ask-server.ts'

/** Every method throws PlatformError where the network fails, and PublishError `server` where the server says no. All may be repeated. */
export interface PublishClient {
  state(): Promise<PublishState>
  /** The first root, with targets; or the next one, with whatever has to be signed again because of it. */
  putRoot(request: PublishRoot): Promise<PublishState>
  uploadState(sha256: string): Promise<UploadState>
  /** Appends bytes at `offset` of an artifact of `length` bytes. */
  appendUpload(
    sha256: string,
    chunk: { readonly offset: number; readonly length: number; readonly body: Uint8Array },
  ): Promise<UploadState>
  publish(request: PublishReleases): Promise<PublishAnswer>
}

export function buildClient(deps: ClientDeps): PublishClient {
  return {
    state: () => ask(deps, 'GET', '/publish/state', publishStateShape),
    putRoot: (request) => ask(deps, 'POST', '/publish/root', publishStateShape, json(request)),
    uploadState: (sha256) => ask(deps, 'GET', `/publish/artifacts/${sha256}`, uploadStateShape),
    appendUpload: (sha256, { offset, length, body }) =>
      ask(deps, 'PUT', `/publish/artifacts/${sha256}?offset=${offset}&length=${length}`, uploadStateShape, {
        type: 'application/octet-stream',
        body,
      }),
    publish: (request) => ask(deps, 'POST', '/publish/releases', publishAnswerShape, json(request)),
  }
}
