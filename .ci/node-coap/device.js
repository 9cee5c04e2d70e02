// A CoAP device with symmetric encryption, written from the vendor's description ("CoAP connection": POST /auth, key of SHA-256, AES-128-CBC,
// token in option 2088, sequence number in option 2089) with npm coap and node:crypto: authentication, post, reply, and what is refused.
// The application's side is the command line. The first step that goes wrong ends the program with status 1 and says which it was.
'use strict';

const { execFile } = require('child_process');
const crypto = require('crypto');
const assert = require('assert');
const coap = require('coap');

const env = process.env;
const limit = 15000;
const [host, port] = [env.RELINK_COAP.replace(/:\d+$/, ''), Number(env.RELINK_COAP.replace(/^.*:/, ''))];
let current = 'start';
let passed = 0;

function relink(...args) {
  const [program, ...first] = env.RELINK.split(' ');
  return new Promise((resolve, reject) => {
    execFile(program, [...first, ...args, '-o', 'json'], { timeout: limit }, (err, stdout, stderr) => {
      if (err) reject(new Error(`relink ${args.join(' ')}: ${stderr || err}`));
      else resolve(stdout.trim() ? JSON.parse(stdout) : {});
    });
  });
}

async function step(name, f) {
  current = name;
  await f();
  passed += 1;
  console.log(`ok ${name}`);
}

// ask sends one request and gives the response.
function ask(pathname, payload, options = {}, more = {}) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${pathname}: no response within ${limit} ms`)), limit);
    const req = coap.request({ hostname: host, port, method: 'POST', pathname, confirmable: true, ...more });
    for (const [number, value] of Object.entries(options)) req.setOption(number, value);
    req.on('response', (res) => {
      clearTimeout(timer);
      resolve(res);
    });
    req.on('error', (err) => {
      clearTimeout(timer);
      reject(err);
    });
    req.end(payload);
  });
}

class Device {
  constructor(productKey, deviceName, deviceSecret) {
    Object.assign(this, { productKey, deviceName, deviceSecret });
  }

  // auth signs all members but sign and signmethod, sorted by name.
  async auth(method = 'hmacsha256') {
    const members = { productKey: this.productKey, deviceName: this.deviceName, clientId: `${this.productKey}.${this.deviceName}`, seq: 10, timestamp: String(Date.now()) };
    const content = Object.keys(members).sort().map((name) => name + members[name]).join('');
    const sign = crypto.createHmac(method.replace('hmac', ''), this.deviceSecret).update(content).digest('hex');
    const res = await ask('/auth', JSON.stringify({ ...members, signmethod: method, sign }));
    if (res.code !== '2.05') return res.code;
    const { random, seqOffset, token } = JSON.parse(res.payload.toString());
    assert.ok(token.length > 0 && token.length <= 192, token);
    assert.ok(random.length > 0 && random.length <= 32, random);
    this.token = token;
    this.seq = seqOffset;
    this.key = crypto.createHash('sha256').update(`${this.deviceSecret},${random}`).digest().subarray(8, 24);
    return res.code;
  }

  encrypt(plain) {
    const cipher = crypto.createCipheriv('aes-128-cbc', this.key, Buffer.from('543yhjy97ae7fyfg'));
    return Buffer.concat([cipher.update(plain), cipher.final()]);
  }

  decrypt(data) {
    const decipher = crypto.createDecipheriv('aes-128-cbc', this.key, Buffer.from('543yhjy97ae7fyfg'));
    return Buffer.concat([decipher.update(data), decipher.final()]).toString();
  }

  post(topic, payload, changed = {}, more = {}) {
    const options = { 2088: Buffer.from(this.token), 2089: this.encrypt(String(this.seq)), ...changed };
    this.seq += 1;
    return ask(`/topic${topic}`, this.encrypt(payload), options, more);
  }
}

function optionOf(res, number) {
  const found = res.options.find((o) => Number(o.name) === number);
  return found && found.value;
}

async function main() {
  let device;
  const name = 'coap-node-1';
  await step('product and device', async () => {
    const pk = (await relink('product', 'create', '--name', 'node_coap')).ProductKey;
    await relink('thing-model', 'import', pk, env.MODEL);
    await relink('thing-model', 'publish', pk);
    device = new Device(pk, name, (await relink('device', 'create', pk, name)).DeviceSecret);
  });
  const post = () => `/sys/${device.productKey}/${name}/thing/event/property/post`;
  const body = (id, value) => JSON.stringify({ id, version: '1.0', params: { power: value }, method: 'thing.event.property.post' });

  for (const method of ['hmacmd5', 'hmacsha1', 'hmacsha256']) {
    await step(`auth with ${method}`, async () => assert.strictEqual(await device.auth(method), '2.05'));
  }
  await step('post and reply', async () => {
    const res = await device.post(post(), body('1', 1));
    assert.strictEqual(res.code, '2.05');
    assert.match(optionOf(res, 2090).toString(), /^\d+$/);
    assert.strictEqual(device.decrypt(res.payload), '{"code":200,"data":{},"id":"1","message":"success","method":"thing.event.property.post","version":"1.0"}');
  });
  await step('the value is stored', async () => {
    const values = JSON.stringify(await relink('property', 'get', device.productKey, name));
    assert.ok(/"[Ii]dentifier":"power"/.test(values) && /"[Vv]alue":"?1"?/.test(values), values);
  });
  await step('token in option 61', async () => {
    const options = { 61: Buffer.from(device.token), 2089: device.encrypt(String(device.seq)) };
    device.seq += 1;
    const res = await ask(`/topic${post()}`, device.encrypt(body('2', 0)), options);
    assert.strictEqual(res.code, '2.05');
  });
  await step('a non-confirmable post', async () => {
    const res = await device.post(post(), body('3', 1), {}, { confirmable: false });
    assert.strictEqual(res.code, '2.05');
  });
  await step('a number that was used', async () => {
    const seq = device.encrypt('1');
    assert.strictEqual((await device.post(post(), body('4', 1), { 2089: seq })).code, '4.01');
  });
  await step('another device\'s topic', async () => {
    assert.strictEqual((await device.post(`/sys/${device.productKey}/other/thing/event/property/post`, body('5', 1))).code, '4.03');
  });
  await step('a wrong token', async () => {
    assert.strictEqual((await device.post(post(), body('6', 1), { 2088: Buffer.from('guess') })).code, '4.01');
  });
  await step('a wrong key', async () => {
    const right = device.key;
    device.key = crypto.randomBytes(16);
    const res = await device.post(post(), body('7', 1));
    device.key = right;
    assert.strictEqual(res.code, '4.00');
    assert.strictEqual(res.payload.length, 0);
  });
  await step('a wrong secret', async () => {
    assert.strictEqual(await new Device(device.productKey, name, 'x'.repeat(32)).auth(), '4.01');
  });
  await step('paths and methods', async () => {
    assert.strictEqual((await ask('/.well-known/core', undefined, {}, { method: 'GET' })).code, '4.04');
    assert.strictEqual((await ask('/auth', undefined, {}, { method: 'PUT' })).code, '4.05');
  });
  console.log(`passed ${passed} steps`);
  process.exit(0);
}

main().catch((err) => {
  console.error(`FAILED at "${current}": ${err.stack || err}`);
  process.exit(1);
});
