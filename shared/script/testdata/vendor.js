// Speaks the frames of the vendor's sample values: command, id of four bytes, then prop_int16, prop_bool, prop_float, big endian.
var COMMAND_REPORT = 0x00, COMMAND_SET = 0x01, COMMAND_REPORT_REPLY = 0x02, COMMAND_SET_REPLY = 0x03;
function view(bytes) {
  var u = new Uint8Array(bytes.length);
  for (var i = 0; i < bytes.length; i++) u[i] = bytes[i] & 0xff;
  return new DataView(u.buffer, 0);
}
function rawDataToProtocol(bytes) {
  var v = view(bytes), head = v.getUint8(0);
  if (head === COMMAND_REPORT) {
    return {
      method: 'thing.event.property.post', version: '1.0', id: '' + v.getInt32(1),
      params: { prop_int16: v.getInt16(5), prop_bool: v.getUint8(7), prop_float: v.getFloat32(8) }
    };
  }
  if (head === COMMAND_SET_REPLY) {
    return { version: '1.0', id: '' + v.getInt32(1), code: '' + v.getUint8(5), data: {} };
  }
}
function protocolToRawData(json) {
  var set = json.method === 'thing.service.property.set';
  var v = new DataView(new ArrayBuffer(set ? 12 : 6));
  v.setUint8(0, set ? COMMAND_SET : COMMAND_REPORT_REPLY);
  v.setInt32(1, parseInt(json.id, 10));
  if (set) {
    v.setInt16(5, json.params.prop_int16); v.setUint8(7, json.params.prop_bool); v.setFloat32(8, json.params.prop_float);
  } else if (json.method === 'thing.event.property.post') {
    v.setUint8(5, json.code);
  }
  return [].slice.call(new Uint8Array(v.buffer));
}
