// The engine's host's side of the camera: makes a JPEG of what the page took.

/** A picture on its way to the host, and how large it is to be there, in pixels. */
export interface Taken {
  image: ImageBitmap;
  width: number;
  height: number;
}

const type = "image/jpeg";
const quality = 0.8;

/** The picture as realtime input. Frees the image. */
export async function toVideo({ image, width, height }: Taken): Promise<Record<string, unknown>> {
  const canvas = new OffscreenCanvas(width, height);
  try {
    canvas.getContext("2d", { alpha: false })!.drawImage(image, 0, 0, width, height);
  } finally {
    image.close();
  }
  const blob = await canvas.convertToBlob({ type, quality });
  return { realtimeInput: { video: { data: await toBase64(blob), mimeType: type } } };
}

function toBase64(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve((reader.result as string).replace(/^.*,/, ""));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
