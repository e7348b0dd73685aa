/* SPDX-License-Identifier: Apache-2.0 */
#include "os/wgkey.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

int
wgkey_make(uint8_t key[static WGKEY_LEN])
{
	if (getrandom(key, WGKEY_LEN, 0) != WGKEY_LEN)
		return -EIO;
	/* RFC 7748, 5: as `wg genkey` does, so that both show the same key. */
	key[0] &= 248;
	key[31] = (uint8_t)((key[31] & 127) | 64);
	return 0;
}

int
wgkey_public(uint8_t out[static WGKEY_LEN], const uint8_t key[static WGKEY_LEN])
{
	EVP_PKEY *pkey =
	    EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, key, WGKEY_LEN);
	size_t len = WGKEY_LEN;
	int err = -EINVAL;

	if (pkey != NULL && EVP_PKEY_get_raw_public_key(pkey, out, &len) == 1 &&
	    len == WGKEY_LEN)
		err = 0;
	EVP_PKEY_free(pkey);
	return err;
}

int
wgkey_read(int fd, uint8_t key[static WGKEY_LEN])
{
	char text[WGKEY_TEXT_LEN + 2];
	struct stat st;
	ssize_t n;
	int err;

	if (fstat(fd, &st) != 0)
		return -errno;
	if ((st.st_mode & 077) != 0)
		return -EPERM;
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	err = base64_decode(key, WGKEY_LEN, text);
	OPENSSL_cleanse(text, sizeof(text));
	return err;
}
