// What every client is told: where the server is, and who it is there.
import assert from 'node:assert/strict'

export const setting = JSON.parse(process.env.WAFER_CLIENT ?? '{}')
for (const name of ['issuer', 'client_id', 'redirect_uri', 'login', 'password']) {
  if (!setting[name]) throw new Error(`WAFER_CLIENT says no ${name}`)
}

let step = 0
// did tells of a step that worked.
export const did = (what, more) => console.log(`${++step}. ${what}${more === undefined ? '' : ': ' + more}`)

export { assert }
