// A browser as far as signing in needs one: it keeps cookies, follows redirects and
// fills in forms. It knows no server: a form is filled in by the names of its fields.
import http from 'node:http'
import https from 'node:https'

const attribute = (tag, name) => {
  const m = new RegExp(`\\s${name}(?:="([^"]*)"|='([^']*)'|(?=[\\s>/]))`, 'i').exec(tag)
  return m ? unescape(m[1] ?? m[2] ?? '') : undefined
}

const unescape = (text) =>
  text.replace(/&#x([0-9a-f]+);/gi, (_, n) => String.fromCodePoint(parseInt(n, 16)))
    .replace(/&#(\d+);/g, (_, n) => String.fromCodePoint(Number(n)))
    .replace(/&quot;/g, '"').replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&')

export class Browser {
  cookies = new Map() // host -> name -> value
  seen = [] // what was visited, for messages

  cookieHeader(url) {
    const jar = this.cookies.get(url.host)
    return jar ? [...jar].map(([k, v]) => `${k}=${v}`).join('; ') : ''
  }

  keep(url, lines) {
    for (const line of lines ?? []) {
      const [pair] = line.split(';')
      const at = pair.indexOf('=')
      const jar = this.cookies.get(url.host) ?? new Map()
      const gone = /max-age=0|expires=thu, 01 jan 1970/i.test(line)
      if (gone) jar.delete(pair.slice(0, at))
      else jar.set(pair.slice(0, at), pair.slice(at + 1))
      this.cookies.set(url.host, jar)
    }
  }

  async request(address, { method = 'GET', body, from } = {}) {
    const url = new URL(address)
    const headers = {
      accept: 'text/html,application/xhtml+xml', 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', 'sec-fetch-user': '?1',
      'sec-fetch-site': from ? (new URL(from).origin === url.origin ? 'same-origin' : 'cross-site') : 'none',
    }
    const cookie = this.cookieHeader(url)
    if (cookie) headers.cookie = cookie
    if (body !== undefined) {
      headers['content-type'] = 'application/x-www-form-urlencoded'
      headers['content-length'] = Buffer.byteLength(body)
      if (from) headers.origin = new URL(from).origin
    }
    this.seen.push(`${method} ${url.pathname}`)
    return await new Promise((resolve, reject) => {
      const request = (url.protocol === 'https:' ? https : http).request(url, { method, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part) => { text += part })
        response.on('end', () => {
          this.keep(url, response.headers['set-cookie'])
          resolve({ status: response.statusCode, location: response.headers.location, headers: response.headers, text, url: url.href })
        })
      })
      request.on('error', reject)
      if (body !== undefined) request.write(body)
      request.end()
    })
  }

  // load follows redirects until a page comes, or an address that stop accepts.
  async load(address, options, stop) {
    let answer = await this.request(address, options)
    for (let hops = 0; answer.location !== undefined && answer.status >= 300 && answer.status < 400; hops++) {
      if (hops > 15) throw new Error(`redirected without end: ${this.seen.join(' ')}`)
      const next = new URL(answer.location, answer.url).href
      if (stop(next)) return { stopped: next }
      answer = await this.request(next, { from: answer.url })
    }
    return answer
  }

  // forms lists the forms of a page with their fields and buttons.
  forms(page) {
    return [...page.text.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/gi)].map(([html]) => {
      const open = /<form\b[^>]*>/i.exec(html)[0]
      const fields = new Map()
      for (const [tag] of html.matchAll(/<input\b[^>]*>/gi)) {
        const name = attribute(tag, 'name')
        if (name && attribute(tag, 'type') !== 'submit' && attribute(tag, 'type') !== 'checkbox') fields.set(name, attribute(tag, 'value') ?? '')
      }
      const buttons = [...html.matchAll(/<button\b[^>]*>/gi)].map(([tag]) => ({ name: attribute(tag, 'name'), value: attribute(tag, 'value') ?? '' }))
      return { action: new URL(attribute(open, 'action') || page.url, page.url).href, method: (attribute(open, 'method') ?? 'get').toUpperCase(), fields, buttons }
    })
  }

  async submit(page, form, values, stop) {
    const fields = new URLSearchParams([...form.fields])
    for (const [name, value] of Object.entries(values)) fields.set(name, value)
    return await this.load(form.action, { method: 'POST', body: fields.toString(), from: page.url }, stop)
  }

  // through goes to address and fills in whatever stands between it and an address
  // that begins with back. It returns that address, with the parameters of a form that
  // was posted to it in its query.
  async through(address, { back, login, password, decision = 'allow', code }) {
    const stop = (url) => url.startsWith(back)
    let page = await this.load(address, {}, stop)
    for (let steps = 0; !page.stopped; steps++) {
      const forms = this.forms(page)
      const posted = forms.find((form) => form.action.startsWith(back))
      if (posted) return `${posted.action}?${new URLSearchParams([...posted.fields])}`
      const form = forms.find((one) => one.fields.has('password')) ?? forms.find((one) => one.buttons.some((b) => b.name === 'decision')) ??
        forms.find((one) => one.fields.has('user_code')) ?? forms.find((one) => one.method === 'POST')
      if (!form || steps > 8) throw new Error(`no way on from ${page.status} ${page.url} after ${this.seen.join(', ')}:\n${page.text.slice(0, 2000)}`)
      const values = {}
      if (form.fields.has('login')) values.login = login
      if (form.fields.has('password')) values.password = password
      if (form.fields.has('user_code') && code) values.user_code = code
      if (form.buttons.some((b) => b.name === 'decision')) values.decision = decision
      page = await this.submit(page, form, values, stop)
    }
    return page.stopped
  }
}
