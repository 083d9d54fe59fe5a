// A gRPC client of grpc-js: makes every kind of call and checks what comes back. ADDRESS [CA]; with CA it speaks TLS to
// "localhost". With "down" for CA, nobody is behind the proxy.
'use strict';
const assert = require('assert');
const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const service = require('./grpcservice.js');

const [address, ca] = process.argv.slice(2);
const down = ca === 'down';
const credentials = ca && !down ? grpc.credentials.createSsl(fs.readFileSync(ca)) : grpc.credentials.createInsecure();
const Client = grpc.makeGenericClientConstructor(service, 'test.Calls');
const client = new Client(address, credentials, { 'grpc.ssl_target_name_override': 'localhost', 'grpc.enable_retries': 0 });

function metadata(part) {
  const m = new grpc.Metadata();
  m.add('part', part);
  return m;
}

// unary makes a call of one message and gives all that is known of its end.
function unary(method, message, options = {}) {
  return new Promise((resolve) => {
    const got = {};
    const call = client[method](message, metadata(method), options, (err, answer) => { Object.assign(got, { err, answer }); });
    call.on('metadata', (m) => { got.begin = m; });
    call.on('status', (s) => { got.status = s; setImmediate(resolve, got); });
  });
}

// stream gives all messages and the status of a call that sends some.
function stream(call, messages) {
  return new Promise((resolve) => {
    const got = [];
    call.on('data', (m) => got.push(m));
    call.on('error', () => {});
    call.on('status', (status) => setImmediate(resolve, { got, status }));
    for (const m of messages) call.write(m);
    if (messages.length > 0) call.end();
  });
}

async function calls() {
  for (const size of [0, 1, 16384, 3 << 20]) {
    const r = await unary('echo', Buffer.alloc(size, 'x'));
    assert.ifError(r.err);
    assert.strictEqual(r.answer.length, size);
    assert.deepStrictEqual(r.begin.get('part'), ['echo']);
    assert.deepStrictEqual(r.status.metadata.get('part'), ['echo']);
  }

  const counted = await stream(client.count(Buffer.from('1000'), metadata('count')), []);
  assert.strictEqual(counted.got.map(String).join(), Array.from({ length: 1000 }, (_, i) => i).join());
  assert.strictEqual(counted.status.code, grpc.status.OK);
  assert.deepStrictEqual(counted.status.metadata.get('part'), ['count']);

  const sum = await new Promise((resolve, reject) => {
    const call = client.sum(metadata('sum'), (err, answer) => (err ? reject(err) : resolve(answer.toString())));
    for (let i = 0; i < 100; i++) call.write(Buffer.alloc(i * 100));
    call.end();
  });
  assert.strictEqual(sum, String(100 * 99 / 2 * 100));

  const sent = Array.from({ length: 500 }, (_, i) => Buffer.alloc(i * 7, String(i)));
  const chat = await stream(client.chat(metadata('chat')), sent);
  assert.ok(Buffer.concat(chat.got).equals(Buffer.concat(sent)));
  assert.strictEqual(chat.got.length, sent.length);
  assert.deepStrictEqual(chat.status.metadata.get('part'), ['chat']);

  // Ping-pong: each message waits for the one before.
  await new Promise((resolve, reject) => {
    const call = client.chat(metadata('chat'));
    let n = 0;
    call.on('data', () => (++n < 200 ? call.write(Buffer.from(String(n))) : call.end()));
    call.on('status', (s) => (s.code === 0 && n === 200 ? resolve() : reject(new Error(`${n} messages, ${s.details}`))));
    call.on('error', reject);
    call.write(Buffer.from('0'));
  });

  const failed = await unary('fail', Buffer.alloc(0));
  assert.strictEqual(failed.status.code, grpc.status.FAILED_PRECONDITION);
  assert.strictEqual(failed.status.details, 'größer als 100 %\n');
  assert.deepStrictEqual(failed.status.metadata.get('why-bin'), [Buffer.from([0, 255, 13, 10])]);

  const missing = await unary('missing', Buffer.alloc(0));
  assert.strictEqual(missing.status.code, grpc.status.UNIMPLEMENTED);

  const late = await unary('sleep', Buffer.alloc(0), { deadline: Date.now() + 300 });
  assert.strictEqual(late.status.code, grpc.status.DEADLINE_EXCEEDED);

  const many = await Promise.all(Array.from({ length: 300 }, (_, i) => unary('echo', Buffer.from(String(i)))));
  many.forEach((r, i) => assert.strictEqual(String(r.answer), String(i)));

  const cancelled = client.chat(metadata('chat'));
  cancelled.on('data', () => cancelled.cancel());
  cancelled.on('error', () => {});
  cancelled.write(Buffer.from('x'));
  const end = await new Promise((resolve) => { cancelled.on('status', resolve); });
  assert.strictEqual(end.code, grpc.status.CANCELLED);
}

async function unavailable() {
  const r = await unary('echo', Buffer.alloc(1));
  assert.strictEqual(r.status.code, grpc.status.UNAVAILABLE);
  console.log(r.status.details);
}

(down ? unavailable() : calls()).then(() => {
  console.log('all calls are well');
  client.close();
}, (err) => {
  console.error(err);
  process.exit(1);
});
