// The page: three views, one of which is shown. Everything is written as text,
// never as HTML; the policy of the page would refuse that anyway.

import { ask } from './api.js';
import { look } from './seen.js';

const $ = (id) => document.getElementById(id);
const views = ['stopped', 'sign-in', 'home'];

// Tells the other tabs that somebody signed in or out.
const tabs = new BroadcastChannel('session');

// Answers of an earlier round come too late: somebody else may be signed in.
let round = 0;
let me = null;

function show(view, focus) {
  for (const name of views) $(name).hidden = name !== view;
  if (focus) $(focus).focus();
}

function say(text) {
  $('notice').textContent = text;
}

function forget() {
  me = null;
  for (const id of ['who', 'since', 'orders-note', 'orders-problem']) $(id).textContent = '';
  $('rows').replaceChildren();
  $('orders').hidden = true;
}

// askToSignIn shows the form and waits for the person. Nothing is loaded again by
// itself, so that a session that has ended cannot make a loop.
function askToSignIn(why) {
  round++;
  forget();
  say(why);
  $('sign-in-problem').textContent = '';
  $('password').value = '';
  show('sign-in', 'login');
  document.title = 'Sign in – Orders';
}

async function start(notice = '') {
  const mine = ++round;
  let answer;
  try {
    answer = await ask('GET', '/api/me');
  } catch (refused) {
    if (mine !== round) return;
    if (refused.signedOut) {
      askToSignIn(refused.message);
    } else {
      say('');
      $('stopped-why').textContent = refused.message;
      show('stopped', 'stopped-title');
    }
    return;
  }
  if (mine !== round) return;
  if (!answer.signed_in) {
    askToSignIn(notice);
    return;
  }
  forget();
  me = answer;
  say(notice);
  $('who').textContent = me.login;
  $('since').textContent = `since ${clock(me.since)}, at most until ${clock(me.until)}`;
  document.title = 'Orders';
  show('home', 'home-title');
  await loadOrders();
}

function clock(time) {
  return new Date(time).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
}

async function loadOrders() {
  const mine = ++round;
  let answer;
  try {
    answer = await ask('GET', '/api/orders');
  } catch (refused) {
    if (mine !== round) return;
    if (refused.signedOut) {
      askToSignIn(refused.message);
    } else {
      $('orders-problem').textContent = refused.message;
    }
    return;
  } finally {
    await report();
  }
  if (mine !== round) return;
  if (answer.user !== me.user) {
    // Another tab has signed somebody else in, with the cookie that all tabs share.
    askToSignIn('Somebody else has signed in in this browser.');
    return;
  }
  $('orders-problem').textContent = '';
  $('orders-note').textContent = answer.note ?? '';
  $('rows').replaceChildren(...answer.orders.map(row));
  $('orders').hidden = false;
}

function row(order) {
  const tr = document.createElement('tr');
  for (const [value, kind] of [[order.id, 'id'], [order.item, ''], [order.count, 'figure'], [order.in_stock ?? '–', 'figure']]) {
    const td = document.createElement('td');
    td.textContent = String(value);
    td.className = kind;
    tr.append(td);
  }
  return tr;
}

async function signIn(event) {
  event.preventDefault();
  const form = event.target, button = form.querySelector('button');
  if (button.disabled) return;
  $('sign-in-problem').textContent = '';
  button.disabled = true;
  try {
    await ask('POST', '/api/sign-in', { login: form.login.value, password: form.password.value });
  } catch (refused) {
    $('sign-in-problem').textContent = refused.message;
    $('password').value = '';
    $('password').focus();
    return;
  } finally {
    button.disabled = false;
    await report();
  }
  form.reset();
  tabs.postMessage('changed');
  await start();
}

async function signOut(path) {
  let answer;
  try {
    answer = await ask('POST', path, {});
  } catch (refused) {
    say(refused.message);
    return;
  }
  tabs.postMessage('changed');
  askToSignIn(answer.message);
  await report();
}

async function report() {
  const { rows, tokens } = await look();
  $('found').replaceChildren(...rows.map(([name, text]) => {
    const div = document.createElement('div'), dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = name;
    dd.textContent = text || 'empty';
    dd.className = text ? 'something' : 'nothing';
    div.append(dt, dd);
    return div;
  }));
  const none = tokens.length === 0;
  $('verdict').className = none ? 'verdict good' : 'verdict bad';
  $('verdict').textContent = none ? 'No token anywhere.' : `Tokens found: ${tokens.length}. This is a flaw.`;
}

$('sign-in-form').addEventListener('submit', signIn);
$('start-again').addEventListener('click', () => start());
$('again').addEventListener('click', loadOrders);
$('out').addEventListener('click', () => signOut('/api/sign-out'));
$('everywhere').addEventListener('click', () => signOut('/api/sign-out-everywhere'));
$('look').addEventListener('click', report);
tabs.addEventListener('message', () => start());

await start();
await report();
