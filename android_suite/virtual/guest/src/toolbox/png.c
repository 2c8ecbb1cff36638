/* PNG of a picture in palette colours. Rows repeat, so the only matches looked for are with the row above and the dot before. */
#include "uia.h"

struct bits {
    unsigned char *data;
    size_t bytes, room;
    uint32_t held;
    int count;
};

static void put_byte(struct bits *b, unsigned char byte) {
    if (b->bytes == b->room) {
        unsigned char *larger = realloc(b->data, b->room = b->room ? b->room * 2 : 65536);
        if (!larger) abort();
        b->data = larger;
    }
    b->data[b->bytes++] = byte;
}

static void put_bits(struct bits *b, uint32_t value, int count) { /* least significant first */
    b->held |= value << b->count;
    for (b->count += count; b->count >= 8; b->count -= 8, b->held >>= 8) put_byte(b, (unsigned char)b->held);
}

static void put_code(struct bits *b, uint32_t code, int count) { /* Huffman codes come most significant bit first */
    while (count--) put_bits(b, code >> count & 1, 1);
}

/* The fixed codes of RFC 1951, 3.2.6. */
static void put_symbol(struct bits *b, unsigned symbol) {
    if (symbol < 144)
        put_code(b, 0x30 + symbol, 8);
    else if (symbol < 256)
        put_code(b, 0x190 + symbol - 144, 9);
    else if (symbol < 280)
        put_code(b, symbol - 256, 7);
    else
        put_code(b, 0xc0 + symbol - 280, 8);
}

/* Lengths and distances come in groups that double: `first` values without further bits, then 2^per groups a number of them. */
static void put_grouped(unsigned value, unsigned first, int per, unsigned *symbol, unsigned *extra, int *extra_bits) {
    int bits = 0;
    unsigned group = 1u << per;
    if (value < first) {
        *symbol = value;
        *extra = 0;
        *extra_bits = 0;
        return;
    }
    while (value >= group << (bits + 1)) bits++;
    *symbol = first + (unsigned)(bits - 1) * group + ((value >> bits) - group);
    *extra = value & ((1u << bits) - 1);
    *extra_bits = bits;
}

static void put_match(struct bits *b, unsigned length, unsigned distance) {
    unsigned symbol, extra;
    int bits;
    if (length == 258)
        put_symbol(b, 285);
    else {
        put_grouped(length - 3, 8, 2, &symbol, &extra, &bits);
        put_symbol(b, 257 + symbol);
        put_bits(b, extra, bits);
    }
    put_grouped(distance - 1, 4, 1, &symbol, &extra, &bits);
    put_code(b, symbol, 5);
    put_bits(b, extra, bits);
}

static unsigned match_length(const unsigned char *data, size_t at, size_t bytes, size_t distance) {
    unsigned n = 0;
    while (at >= distance && n < 258 && at + n < bytes && data[at + n] == data[at + n - distance]) n++;
    return n;
}

static void deflate(struct bits *b, const unsigned char *data, size_t bytes, size_t stride) {
    put_bits(b, 1, 1); /* the last block */
    put_bits(b, 1, 2); /* of fixed codes */
    for (size_t at = 0; at < bytes;) {
        unsigned above = match_length(data, at, bytes, stride), before = above < 258 ? match_length(data, at, bytes, 1) : 0;
        unsigned length = above >= before ? above : before;
        if (length < 3) {
            put_symbol(b, data[at++]);
            continue;
        }
        put_match(b, length, above >= before ? (unsigned)stride : 1);
        at += length;
    }
    put_symbol(b, 256);
    if (b->count) put_bits(b, 0, 8 - b->count);
}

static uint32_t checksum(const unsigned char *data, size_t bytes) { /* Adler-32 */
    uint32_t a = 1, sum = 0;
    for (size_t i = 0; i < bytes; i++) {
        a += data[i];
        sum += a;
        if (i % 2500 == 2499) a %= 65521, sum %= 65521;
    }
    return sum % 65521 << 16 | a % 65521;
}

static void put_32(unsigned char *to, uint32_t value) {
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(value >> (24 - 8 * i));
}

static uint32_t crc(uint32_t value, const unsigned char *data, size_t bytes) {
    static const uint32_t nibble[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    for (size_t i = 0; i < bytes; i++) {
        value ^= data[i];
        value = value >> 4 ^ nibble[value & 15];
        value = value >> 4 ^ nibble[value & 15];
    }
    return value;
}

static void put_chunk(FILE *out, const char *type, const unsigned char *data, size_t bytes) {
    unsigned char head[8], tail[4];
    put_32(head, (uint32_t)bytes);
    memcpy(head + 4, type, 4);
    put_32(tail, ~crc(crc(~0u, head + 4, 4), data, bytes));
    fwrite(head, 1, sizeof head, out);
    fwrite(data, 1, bytes, out);
    fwrite(tail, 1, sizeof tail, out);
}

void png_write(FILE *out, const unsigned char *pixels, int width, int height) {
    unsigned char header[13] = {[8] = 8, [9] = 3}; /* eight bits, a palette */
    size_t stride = (size_t)width + 1, bytes = stride * (size_t)height;
    unsigned char *rows = malloc(bytes);
    struct bits b = {0};
    if (!rows) return;
    for (int y = 0; y < height; y++) {
        rows[(size_t)y * stride] = 0; /* no filter */
        memcpy(rows + (size_t)y * stride + 1, pixels + (size_t)y * (size_t)width, (size_t)width);
    }
    put_byte(&b, 0x78); /* zlib, a window of 32 KiB */
    put_byte(&b, 0x01);
    deflate(&b, rows, bytes, stride);
    uint32_t sum = checksum(rows, bytes);
    for (int i = 0; i < 4; i++) put_byte(&b, (unsigned char)(sum >> (24 - 8 * i)));
    put_32(header, (uint32_t)width);
    put_32(header + 4, (uint32_t)height);
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, out);
    put_chunk(out, "IHDR", header, sizeof header);
    put_chunk(out, "PLTE", picture_palette[0], (size_t)picture_colours * 3);
    put_chunk(out, "IDAT", b.data, b.bytes);
    put_chunk(out, "IEND", (const unsigned char *)"", 0);
    free(rows);
    free(b.data);
}

void base64_write(FILE *out, const unsigned char *data, size_t bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes; i += 3) {
        uint32_t three = (uint32_t)data[i] << 16 | (i + 1 < bytes ? (uint32_t)data[i + 1] << 8 : 0) | (i + 2 < bytes ? data[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63], i + 1 < bytes ? digits[three >> 6 & 63] : '=', i + 2 < bytes ? digits[three & 63] : '='};
        fwrite(four, 1, 4, out);
    }
}
