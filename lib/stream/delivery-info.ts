export { readDeliveryInfo, type DeliveryInfo } from '../connection/delivery-info.js';
