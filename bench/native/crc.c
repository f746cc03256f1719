/* CRC32C (RFC 3720) of bytes, and of two runs of them together. */
#include "bench.h"

#ifdef __SSE4_2__
#include <nmmintrin.h>
#include <string.h>
#endif

#define POLYNOMIAL 0x82F63B78u

static uint32_t powers[64];

#ifdef __SSE4_2__
uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    const unsigned char *at = data;
    uint64_t value = ~crc;
    for (; length >= 8; length -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        value = _mm_crc32_u64(value, word);
    }
    while (length--)
        value = _mm_crc32_u8((uint32_t)value, *at++);
    return ~(uint32_t)value;
}
#else
static uint32_t table[256];

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    const unsigned char *at = data;
    crc = ~crc;
    while (length--)
        crc = table[(crc ^ *at++) & 255] ^ crc >> 8;
    return ~crc;
}
#endif

/* a * b modulo the polynomial, bits reflected. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
        if (a & bit)
            product ^= b;
        b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

uint32_t crc32c_combine(uint32_t first, uint32_t second, long long second_length)
{
    uint32_t shift = 1u << 31;
    for (int bit = 3; second_length; second_length >>= 1, bit++)
        if (second_length & 1)
            shift = multiply(powers[bit], shift);
    return multiply(shift, first) ^ second;
}

void set_up_crc(void)
{
    powers[0] = 1u << 30;
    for (int i = 1; i < 64; i++)
        powers[i] = multiply(powers[i - 1], powers[i - 1]);
#ifndef __SSE4_2__
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ POLYNOMIAL : table[i] >> 1;
    }
#endif
}
